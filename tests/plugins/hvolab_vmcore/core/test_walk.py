# SPDX-License-Identifier: GPL-2.0-only
"""Walk of a core's page tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.arch import EntryKind
from hvolab.errors import CoreFileError
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.core.walk import walk_tables
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    changed,
    scanned,
    slot_of,
    va_of,
)


def entry_pa(core: Path, va: int, level: str) -> tuple[int, int]:
    """Return PA and value of the entry for ``va`` at a level."""
    (step,) = (step for step in scanned(core).snapshot.tables.walk(va) if step.level.name == level)
    return step.slot, step.raw


def test_a_walk_has_the_entries_that_the_tables_have() -> None:
    snapshot = scanned(OPTIMIZED_2M).snapshot
    walk = walk_tables(snapshot.tables, va_of(FIRST_FOLIO), va_of(FIRST_FOLIO, 8))
    last = walk.levels[-1]
    assert (last.pas.size, int(last.inside.sum())) == (1, 8)
    slots = [int(last.pas[0]) + slot * 8 for slot in last.inside[0].nonzero()[0].tolist()]
    assert slots == [slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, page))[0] for page in range(8)]
    path = walk.path(len(walk.levels) - 1, 0)
    assert list(path) == [step.raw for step in snapshot.tables.walk(va_of(FIRST_FOLIO))[:-1]]


def test_a_range_that_a_large_leaf_maps_has_no_table_at_the_last_level() -> None:
    walk = walk_tables(scanned(BOOT).snapshot.tables, va_of(GIGANTIC), va_of(GIGANTIC, 512))
    assert walk.levels[-1].pas.size == 0
    assert int(walk.levels[-2].leaf.sum()) == 1


@pytest.mark.parametrize("level", ["pgd", "pud", "pmd"])
def test_page_tables_that_loop_are_refused(tmp_path: Path, level: str) -> None:
    slot, raw = entry_pa(OPTIMIZED_2M, va_of(FIRST_FOLIO), level)
    root = scanned(OPTIMIZED_2M).snapshot.tables.root
    core = changed(OPTIMIZED_2M, {slot: raw & 0xFFF | root}, tmp_path / "changed.core")
    with pytest.raises(CoreFileError, match="the page tables loop: two entries lead to the table at PA 0x2c22000"):
        scan(open_snapshot(core))


def test_two_entries_that_lead_to_one_table_are_refused(tmp_path: Path) -> None:
    slot, _ = entry_pa(OPTIMIZED_1G, va_of(GIGANTIC), "pmd")
    _, other = entry_pa(OPTIMIZED_1G, va_of(GIGANTIC, 512), "pmd")
    core = changed(OPTIMIZED_1G, {slot: other}, tmp_path / "changed.core")
    with pytest.raises(CoreFileError, match="the page tables loop"):
        scan(open_snapshot(core))


def test_a_table_above_the_last_pa_is_refused_with_its_entry(tmp_path: Path) -> None:
    slot, raw = entry_pa(OPTIMIZED_2M, va_of(FIRST_FOLIO), "pmd")
    outside = raw | 1 << 50
    core = changed(OPTIMIZED_2M, {slot: outside}, tmp_path / "changed.core")
    with pytest.raises(CoreFileError, match="a page table points outside") as caught:
        scan(open_snapshot(core))
    assert f"{outside:#018x}" in caught.value.where


@pytest.mark.parametrize("core", [BOOT, OPTIMIZED_1G])
def test_tables_of_one_kind_have_paths_that_differ_in_addresses_only(core: Path) -> None:
    walk = scanned(core).walk
    form = walk.target.mode.format.form
    for depth, tables in enumerate(walk.levels):
        masks = [form(each.level.name, EntryKind.TABLE).address_mask for each in walk.levels[:depth]]
        paths = (walk.path(depth, index) for index in range(tables.pas.size))
        bits = [tuple(raw & ~mask for raw, mask in zip(path, masks, strict=True)) for path in paths]
        kinds = walk.path_kinds(depth).tolist()
        assert len(set(zip(bits, kinds, strict=True))) == len(set(bits)) == len(set(kinds))
