# SPDX-License-Identifier: GPL-2.0-only
"""Inspection of entries and heads: each wrong one is a finding that names its invariant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hvolab_vmcore.scan.finding import KINDS
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    OPTIMIZED_2M,
    PAGE,
    findings_of,
    pa_of,
    slot_of,
    va_of,
)

RW, DIRTY = 1 << 1, 1 << 6
PRIVATE = 40


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
