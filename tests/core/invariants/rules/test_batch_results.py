# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of operations on lists that go on where they must stop, and give up where they must go on."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from hvolab.hvo import Hvo
from hvolab.machine.frames.failure import FailCalls, FailFrom
from hvolab.release.releases import V7_2
from hvolab.trace import Batch, Event, FolioStep, PagesFreed
from tests.core.invariants.mutants import SMALL, broken, grown, pools, pools_of, watched
from tests.machines import Pools


def _whats(lab: Pools, act: Callable[[], Any]) -> list[str]:
    return [finding.what for finding in watched(lab, act) if finding.rule == "batch_results"]


def _resized(lab: Pools, *counts: int) -> None:
    for count in counts:
        grown(lab, count)


def test_a_batch_that_does_not_end_breaks_rule_24(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, emit = pools(SMALL), Hvo._emit

    def no_end(self: Hvo, event: Callable[..., Event], *fields: Any) -> None:
        if fields[0] != "optimize.end" or event is not Batch:
            emit(self, event, *fields)

    monkeypatch.setattr(Hvo, "_emit", no_end)
    whats = _whats(lab, lambda: _resized(lab, 1, 2))
    assert set(whats) == {"a batch begins, and the one before it has not ended: optimize"}


def test_a_wrong_number_of_restored_folios_breaks_rule_24() -> None:
    lab = pools(SMALL)

    def act() -> None:
        for step in (Batch("restore.begin"), FolioStep("restore.end", lab.machine.struct_pages.base)):
            lab.machine.trace.emit(step)
        lab.machine.trace.emit(Batch("restore.end", 2))

    assert _whats(lab, act) == ["a batch of restores ended with result 2, 1 is right"]


def test_a_batch_that_restores_on_after_a_failure_breaks_rule_24() -> None:
    lab = pools(SMALL)
    folio = lab.machine.struct_pages.base

    def act() -> None:
        failed = FolioStep("restore.end", folio, -errno.ENOMEM)
        for event in (Batch("restore.begin"), failed, FolioStep("restore.begin", folio + 4096)):
            lab.machine.trace.emit(event)

    assert _whats(lab, act) == ["a batch restores a folio after one that ended with result -12"]


def test_a_folio_that_is_not_tried_again_breaks_rule_24(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hvo, "_optimize_or_retry", Hvo._optimize)
    lab = pools_of(V7_2)
    lab.frames.failure = FailCalls(frozenset({7}))  # three folios, a page table, a page of tails, the second head
    assert _whats(lab, lambda: grown(lab, 3)) == [
        "a batch goes on without memory for a folio, and has not freed the pages of those before"
    ]


def test_a_folio_that_is_not_tried_again_as_hvo_is_off_by_then_keeps_rule_24() -> None:
    lab = pools_of(V7_2)
    lab.frames.failure = FailCalls(frozenset({7}))

    def switch_off(event: Event) -> None:
        if isinstance(event, PagesFreed):
            lab.machine.optimize_enabled = False

    with lab.machine.trace.listen(switch_off):
        assert _whats(lab, lambda: grown(lab, 3)) == []
    assert not lab.machine.optimize_enabled


@pytest.mark.parametrize("first", [4, 5, 6, 7])
def test_engines_that_try_again_and_stop_keep_rule_24(first: int) -> None:
    lab = pools(SMALL)
    lab.frames.failure = FailFrom(first)
    assert "batch_results" not in broken(watched(lab, lambda: _resized(lab, 3, 0)))
