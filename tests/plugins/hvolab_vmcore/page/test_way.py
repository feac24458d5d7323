# SPDX-License-Identifier: GPL-2.0-only
"""Walks to a VA, as far as a dump has the tables."""

from __future__ import annotations

from pathlib import Path

from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.page.way import way_to
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    OPTIMIZED_2M,
    RISCV_OPTIMIZED,
    pa_of,
    scanned,
    slot_of,
    va_of,
    without,
)


def test_a_walk_ends_at_the_frame_and_says_what_a_store_does() -> None:
    snapshot = scanned(OPTIMIZED_2M).snapshot
    head, tail = (way_to(snapshot, va_of(FIRST_FOLIO, page) + 8) for page in (0, 3))
    assert [step.level for step in tail.steps] == ["pgd", "pud", "pmd", "pte"]
    assert (head.pa, tail.pa) == (pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO)) + 8,) * 2
    assert (head.writable, tail.writable) == (True, False)
    assert (tail.steps[-1].pa, tail.steps[-1].state) == (slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3))[0], "saved")
    riscv = scanned(RISCV_OPTIMIZED)
    tail_of_riscv = way_to(riscv.snapshot, riscv.pages.va(int(riscv.huge_pages[-1].rows[0]) + 1))
    assert tail_of_riscv.writable


def test_what_the_dump_lacks_is_not_taken_for_unmapped(tmp_path: Path) -> None:
    table = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO))[0] // 4096 * 4096
    way = way_to(open_snapshot(without(OPTIMIZED_2M, [table], tmp_path / "a.kdump")), va_of(FIRST_FOLIO))
    assert (way.pa, way.mapped, way.writable) == (None, None, None)
    assert (way.steps[-1].state, way.steps[-1].entry, way.steps[-2].state) == ("not saved", None, "saved")
    beyond = way_to(scanned(OPTIMIZED_2M).snapshot, va_of(1 << 32))
    assert (beyond.pa, beyond.mapped) == (None, False)
