# SPDX-License-Identifier: GPL-2.0-only
"""Inspection of entries and heads: each wrong one is a finding that names its invariant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hvolab.arch import Access
from hvolab.serialize import as_data
from hvolab_vmcore.scan.finding import KINDS
from hvolab_vmcore.scan.releases import open_scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    MADE_CORES,
    MADE_STATES,
    OPTIMIZED_2M,
    PAGE,
    WRONG_RESTORED,
    changed,
    findings_of,
    made,
    pa_of,
    scanned,
    slot_of,
    va_of,
)

RW, DIRTY = 1 << 1, 1 << 6
PRIVATE = 40


def test_a_page_is_writable_where_its_walk_allows_stores(tmp_path: Path) -> None:
    slots = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3)), slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 5))
    found = open_scan(changed(OPTIMIZED_2M, {slots[0][0]: slots[0][1] | RW, slots[1][0]: 0}, tmp_path / "core"))
    pages, target, tables = found.pages, found.snapshot.target, found.snapshot.tables
    number = (va_of(FIRST_FOLIO) - pages.base) >> pages.shift
    rows = np.flatnonzero((pages.numbers >= number - 16) & (pages.numbers < number + 32)).tolist()
    walks = ([step.raw for step in tables.walk(pages.va(row))] for row in rows)
    allowed = [bool(target.allowed(raw, tuple(above)) & Access.WRITE) for *above, raw in walks]
    writable = found.inspector.writable[rows].tolist()
    assert writable == [each and pages.frames[row] >= 0 for row, each in zip(rows, allowed, strict=True)]
    assert len(rows) == 48
    assert 0 < sum(writable) < 48


@pytest.mark.parametrize(
    ("kind", "page", "make"),
    [
        ("writable-tail", 3, lambda raw: raw | RW),
        ("wrong-pgprot", 3, lambda raw: raw | DIRTY),
        ("foreign-frame", 3, lambda raw: raw ^ 0x40000),
        ("unmapped-tail", 3, lambda _: 0),
        ("read-only-head", 0, lambda raw: raw & ~RW),
        ("wrong-pgprot", 0, lambda raw: raw & ~DIRTY),
        ("illegal-entry", None, lambda raw: raw | 1 << 13 | 1 << 7),
    ],
)
def test_a_changed_entry_is_a_finding_that_names_va_entry_and_frame(
    tmp_path: Path, kind: str, page: int | None, make: Any
) -> None:
    va = va_of(0x80000) if page is None else va_of(FIRST_FOLIO, page)
    slot, raw = slot_of(OPTIMIZED_2M, va)
    found = findings_of(OPTIMIZED_2M, {slot: make(raw)}, tmp_path)
    (finding,) = (one for one in found if one["kind"] == kind)
    assert finding["va"] == hex(va)
    assert finding["entry"].startswith(f"{make(raw):#018x}")
    assert not finding["declared"]
    assert finding["rule"] == KINDS[kind]
    if page is not None:
        assert finding["folio"] == hex(FIRST_FOLIO)
    if kind == "foreign-frame":
        assert finding["pfn"] == hex(0x54E4 ^ 0x40)


def test_a_cleared_bit_and_a_bit_without_remap_are_findings(tmp_path: Path) -> None:
    private = pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO)) + PRIVATE
    assert [one["kind"] for one in findings_of(OPTIMIZED_2M, {private: 0}, tmp_path)] == ["remap-without-bit"]
    # tails with frames of their own again, as in the core before
    slots = {slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, page))[0]: page for page in range(1, 8)}
    own = {slot: 0x80000000BCF70163 + page * PAGE for slot, page in slots.items()}
    kinds = [one["kind"] for one in findings_of(OPTIMIZED_2M, own, tmp_path)]
    assert kinds == ["bit-without-remap"]


@pytest.mark.parametrize("state", MADE_STATES)
@pytest.mark.parametrize("kernel", sorted(folder.name for folder in MADE_CORES.iterdir() if folder.is_dir()))
def test_a_core_of_any_release_has_no_finding_but_for_a_wrong_restore(kernel: str, state: str) -> None:
    found = open_scan(made(kernel, state))
    wrong = kernel.endswith("6.12.117") and state == "4-restored"
    assert found.kinds() == ({"stale-head": 63} if wrong else {})
    assert any(finding.declared for finding in found.findings) is (
        kernel.startswith("riscv") and found.savings.frames > 0
    )


def test_a_wrong_restore_is_reported_for_each_copy_of_a_head() -> None:
    findings = as_data(open_scan(WRONG_RESTORED).findings)
    assert len(findings) == 56
    assert findings[0]["kind"] == "stale-head"
    assert (findings[0]["va"], findings[0]["rule"]) == (hex(va_of(0x3E00, 1)), "content")
    assert "PFN 0x3e40" in findings[0]["text"]
    assert "HPG flags 0x10" in findings[0]["text"]


@pytest.mark.parametrize("kernel", ["x86_64-7.2", "riscv64-7.2"])
def test_tails_map_the_page_of_their_zone_and_order(tmp_path: Path, kernel: str) -> None:
    core = made(kernel, "2-eight-2M")
    found = scanned(core)
    huge = next(huge for huge in found.huge_pages if huge.order == 9)
    tails = huge.rows[3] + np.arange(1, huge.pages)
    slots = [found.snapshot.tables.find(found.pages.va(int(row))) for row in tails]
    # one folio's tails share another page
    frame = int(huge.shared[0]) ^ 0x80
    form = found.snapshot.target.page_form
    words = {one.slot: one.raw & ~form.address_mask | form.put_address(frame * PAGE) for one in slots}
    wrong = open_scan(changed(core, words, tmp_path / "changed.core"))
    assert wrong.kinds() == {"foreign-frame": 1}
    (finding,) = (one for one in wrong.findings if one.kind == "foreign-frame")
    assert (finding.pages, finding.folio) == (7, int(huge.pfns[3]))
    assert "of its order and zone" in finding.text


def test_tails_of_another_zone_map_another_page(tmp_path: Path) -> None:
    core = made("x86_64-7.2", "2-eight-2M")
    found = scanned(core)
    huge = next(huge for huge in found.huge_pages if huge.order == 9)
    first = found.pages.va(int(huge.rows[3]))
    frame = int(huge.shared[0]) ^ 0x80
    words = {}
    for page in range(1, 8):
        slot, raw = slot_of(core, first + page * PAGE)
        words[slot] = raw & 0x8000000000000FFF | frame * PAGE
    words[pa_of(core, first)] = 2 << 51 | 1 << 6  # its head is in ZONE_NORMAL
    assert open_scan(changed(core, words, tmp_path / "changed.core")).kinds() == {}


def test_findings_that_are_not_listed_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvolab_vmcore.scan.inspector.LARGEST_LIST", 10)
    found = open_scan(WRONG_RESTORED)
    assert (found.kinds(), len(found.findings)) == ({"stale-head": 56}, 10)
