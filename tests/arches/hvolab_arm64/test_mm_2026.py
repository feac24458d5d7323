# SPDX-License-Identifier: GPL-2.0-only
"""arm64's scheme of 2026: an entry is replaced only when no TLB can hold it, and a lost race is survived."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from hvolab.hvo import Hvo
from hvolab.invariants import Finding, Monitor
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailCalls, FailFrom, NeverFail
from hvolab.plugin import registry
from hvolab.trace import EntriesStored, Event, RangeFlushed
from tests.failures import fail_at_random
from tests.machines import MIB, Pools, pools

_SPEC = MachineSpec(memory=512 * MIB, cpus=2)


def lab(release: str = "mm-2026") -> Pools:
    return pools(_SPEC, registry().architecture("arm64").select("4K-48bit", release=release))


def watched(machine: Pools, act: Callable[[], object]) -> list[Finding]:
    monitor = Monitor(machine.machine)
    with monitor.watch():
        act()
    return monitor.findings + machine.findings()


def test_plain_stores_to_live_entries_are_findings_that_the_description_declares() -> None:
    machine = lab("6.12")
    findings = watched(machine, lambda: machine.pools[1].set_max_huge_pages(2))
    assert findings
    assert {finding.rule for finding in findings} == {"live_entries"}
    assert all(finding.declared for finding in findings)
    assert "made invalid and flushed first" in findings[0].what


def test_the_scheme_of_2026_leaves_no_finding() -> None:
    machine = lab()
    assert not watched(machine, lambda: machine.pools[1].set_max_huge_pages(4))
    assert machine.machine.key == 4
    assert not watched(machine, lambda: machine.pools[1].set_max_huge_pages(0))
    assert machine.machine.key == 0


def test_every_entry_is_cleared_of_its_accessed_flag_and_flushed_before_it_is_exchanged() -> None:
    machine = lab()
    events: list[Event] = []
    with machine.machine.trace.listen(events.append):
        machine.pools[1].set_max_huge_pages(1)
    accessed = machine.machine.target.mmu.accessed
    assert accessed is not None
    stores = [e for e in events if isinstance(e, EntriesStored) and e.live and e.level == "pte"]
    assert len(stores) == 2 * 8
    for cleared, exchanged in zip(stores[::2], stores[1::2], strict=True):
        assert accessed.accepts(int(cleared.before[0]))
        assert not accessed.accepts(int(cleared.after[0]))
        assert int(exchanged.before[0]) == int(cleared.after[0])
        between = events[events.index(cleared) : events.index(exchanged)]
        assert any(isinstance(event, RangeFlushed) and event.start == cleared.va for event in between)


@pytest.mark.parametrize("entry", range(1, 9))
def test_an_entry_that_is_lost_is_rolled_back(entry: int) -> None:
    machine = lab()
    machine.machine.entry_updates = FailCalls(frozenset({entry}))
    assert not watched(machine, lambda: machine.pools[1].set_max_huge_pages(1))
    assert machine.machine.key == 0
    machine.machine.entry_updates = NeverFail()
    assert not watched(machine, lambda: machine.pools[1].set_max_huge_pages(0))


@pytest.mark.parametrize("entry", range(3, 9))
def test_a_rollback_that_is_lost_too_leaves_a_folio_partly_optimized(entry: int) -> None:
    machine = lab()
    machine.machine.entry_updates = FailFrom(entry)
    assert not watched(machine, lambda: machine.pools[1].set_max_huge_pages(1))
    assert machine.machine.key == 1
    folio = next(machine.pools[1].free_folios())
    frames = machine.machine.tables.frames(folio, 8)
    assert (frames == frames[0]).sum() == entry - 1
    assert np.unique(frames).size == 8 - entry + 2
    machine.machine.entry_updates = NeverFail()
    assert not watched(machine, lambda: machine.pools[1].set_max_huge_pages(0))
    assert machine.machine.key == 0


def test_a_restore_that_is_lost_keeps_the_folio_optimized_and_loses_no_frame() -> None:
    machine = lab()
    pool = machine.pools[1]
    pool.set_max_huge_pages(1)
    machine.machine.entry_updates = FailCalls(frozenset({4}))
    folio = next(pool.free_folios())
    assert not watched(machine, lambda: machine.hvo.restore_folio(pool.h, folio) < 0)
    assert machine.machine.key == 1
    assert machine.hvo.restore_folio(pool.h, folio) == 0
    assert not machine.findings()


def test_a_split_that_is_lost_frees_its_table() -> None:
    machine = lab()
    machine.machine.table_updates = FailFrom(1)
    before = machine.frames.allocated_frames
    assert not watched(machine, lambda: machine.pools[1].set_max_huge_pages(1))
    assert machine.machine.key == 0
    assert machine.frames.allocated_frames == before + 512


def test_another_cpu_that_keeps_touching_a_page_wins_after_sixteen_tries() -> None:
    machine = lab()
    other = machine.machine.cpus[1]
    touched: list[int] = []

    def touch(event: Event) -> None:
        if isinstance(event, RangeFlushed) and event.end - event.start == 4096:
            touched.append(event.start)
            other.load_word(event.start)

    with machine.machine.trace.listen(touch):
        machine.pools[1].set_max_huge_pages(1)
    assert touched.count(touched[0]) == 16
    assert machine.machine.key == 0
    assert not machine.findings()


@pytest.mark.slow
def test_races_at_random_break_nothing() -> None:
    for seed in range(20):
        machine = lab()
        machine.machine.entry_updates = fail_at_random(0.05, seed)
        for count in (5, 2, 6, 0):
            assert not watched(machine, partial(machine.pools[1].set_max_huge_pages, count)), seed


def test_the_engine_of_another_release_is_unchanged() -> None:
    machine = lab("6.12")
    assert isinstance(machine.hvo, Hvo)
    assert not machine.hvo.remap._update.can_fail
