# SPDX-License-Identifier: GPL-2.0-only
"""Plan of a replay, and its execution."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.replay.plan import by_order, plan_of
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    changed,
    scanned,
    slot_of,
    va_of,
)


def test_a_plan_has_the_folios_that_are_optimized_in_one_core_only() -> None:
    plan = plan_of(scanned(OPTIMIZED_1G), scanned(BOOT))
    assert (len(plan.restored), plan.optimized) == (9, ())
    assert plan_of(scanned(BOOT), scanned(OPTIMIZED_1G)).optimized == plan.restored
    assert [(order, len(pfns)) for order, pfns in by_order(plan.restored)] == [(9, 8), (18, 1)]


def test_a_page_that_was_restored_and_optimized_again_is_planned_twice(tmp_path: Path) -> None:
    words = {}
    for page in range(8):
        slot, raw = slot_of(OPTIMIZED_1G, va_of(FIRST_FOLIO, page))
        words[slot] = raw & 0x8000000000000FFF | 0x2345000
    outcome = replay(OPTIMIZED_2M, changed(OPTIMIZED_1G, words, tmp_path / "changed.core"))
    assert outcome.plan.restored == ((FIRST_FOLIO, 9),)
    assert outcome.plan.optimized == ((FIRST_FOLIO, 9), (GIGANTIC, 18))
    assert outcome.differences == ()


def test_folios_that_are_optimized_in_neither_core_and_have_other_frames_passed() -> None:
    plan = plan_of(scanned(BOOT), scanned(RESTORED))
    assert (plan.restored, plan.optimized) == ((), ())
    assert plan.passing == plan_of(scanned(BOOT), scanned(OPTIMIZED_1G)).optimized
    assert plan.folios == plan.passing
    assert plan_of(scanned(OPTIMIZED_2M), scanned(RESTORED)).passing == ((GIGANTIC, 18),)
    assert plan_of(scanned(BOOT), scanned(BOOT)).folios == ()


@pytest.mark.parametrize("kept", [3, 4])
def test_most_of_the_tails_of_a_folio_that_passed_have_other_frames(tmp_path: Path, kept: int) -> None:
    words = {}
    for page in range(1, 1 + kept):
        slot, raw = slot_of(RESTORED, va_of(FIRST_FOLIO, page))
        frame = scanned(BOOT).snapshot.tables.frame_of(va_of(FIRST_FOLIO, page))
        assert frame is not None
        words[slot] = raw & 0x8000000000000FFF | frame << 12
    after = scan(open_snapshot(changed(RESTORED, words, tmp_path / "changed.core")))
    assert ((FIRST_FOLIO, 9) in plan_of(scanned(BOOT), after).passing) is (kept == 3)


def test_smaller_blocks_passed_where_not_all_of_a_large_one_did(tmp_path: Path) -> None:
    words = {}
    for page in range(8):
        slot, raw = slot_of(RESTORED, va_of(GIGANTIC + 512, page))
        frame = scanned(BOOT).snapshot.tables.frame_of(va_of(GIGANTIC + 512, page))
        assert frame is not None
        words[slot] = raw & 0x8000000000000FFF | frame << 12
    after = scan(open_snapshot(changed(RESTORED, words, tmp_path / "changed.core")))
    passing = plan_of(scanned(BOOT), after).passing
    assert [order for _, order in passing] == [9] * (8 + 511)
    assert (GIGANTIC + 512, 9) not in passing
