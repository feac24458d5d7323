# SPDX-License-Identifier: GPL-2.0-only
"""Plan of a replay, and its execution."""

from __future__ import annotations

from pathlib import Path

from hvolab_vmcore.replay.plan import by_order, plan_of
from hvolab_vmcore.replay.replay import replay
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
