# SPDX-License-Identifier: GPL-2.0-only
"""Two CPUs: what one still reaches through a stale translation while the other optimizes, and what it reaches after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hvolab.arch import Architecture, PageFault
from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.trace import AllFlushed, EntriesStored, Event, PagesFreed, RangeFlushed
from hvolab_x86_64.description import X86_64
from tests.folios import Hstate, frames_of, new_folio, new_list

H = Hstate(9)
PAGE = 1 << 12
OFFSET = 5 * PAGE + 56  # a word in the sixth page of the vmemmap, a tail


class Pair:
    """CPU 0 optimizes a folio; CPU 1 stores to one of its tails when a test says so."""

    def __init__(self, architecture: Architecture = X86_64) -> None:
        self.machine: Machine = build_machine(architecture.select(), MachineSpec(memory=256 << 20, cpus=2))
        self.folio = new_folio(self.machine, H.order)
        self.hvo = Hvo(self.machine)
        self.other = self.machine.cpus[1]
        self.tail = self.folio + OFFSET
        self.old = int(frames_of(self.machine, self.folio, H.order)[5])
        #: What each store of CPU 1 did, with the event before it: the frame that it reached, or the fault.
        self.seen: list[tuple[str, int | PageFault]] = []

    def word_in(self, frame: int) -> int:
        return self.machine.memory.read_word(frame * PAGE + OFFSET % PAGE)

    def store(self, event: Event) -> None:
        """CPU 1 stores a value of its own; where it went is looked up in the frames."""
        value = 0x5704E000 + len(self.seen)
        try:
            self.other.store_word(self.tail, value)
        except PageFault as fault:
            self.seen.append((event.name, fault))
            return
        new = int(frames_of(self.machine, self.folio, H.order)[0])
        (frame,) = (frame for frame in {self.old, new} if self.word_in(frame) == value)
        self.seen.append((event.name, frame))

    def store_at(self, *interesting: Callable[[Event], bool]) -> Callable[[Event], None]:
        """A listener that lets CPU 1 store after each event that is interesting."""

        def listener(event: Event) -> None:
            if any(wanted(event) for wanted in interesting):
                self.store(event)

        return listener

    def check_fault(self, fault: int | PageFault) -> None:
        """The store faulted as x86 reports a store to a read-only page."""
        assert isinstance(fault, PageFault)
        record = fault.fault
        assert dict(record.syndrome) == {"vector": 14, "error_code": 0x3, "cr2": self.tail}
        assert (record.cpu, record.level) == (1, "pte")


def remapped(event: Event) -> bool:
    return isinstance(event, EntriesStored) and event.live and event.level == "pte"


def table_installed(event: Event) -> bool:
    return isinstance(event, EntriesStored) and event.level == "pmd"


def flushed(event: Event) -> bool:
    return isinstance(event, RangeFlushed | AllFlushed)


def freed(event: Event) -> bool:
    return isinstance(event, PagesFreed)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_a_store_reaches_the_old_frame_until_the_flush_and_faults_after_it(pair: Pair) -> None:
    assert pair.hvo.split_folio(H, pair.folio) == 0
    pair.machine.flush_tlb_all()
    pair.other.load_word(pair.tail)  # cached: the tail's own page, writable
    with pair.machine.trace.listen(pair.store_at(remapped, flushed, freed)):
        pair.hvo.optimize_folio(H, pair.folio)
    (first, *rest) = pair.seen
    assert first == ("entry.store", pair.old)
    assert {name for name, _ in rest} == {"flush.range", "page.free"}
    for _, fault in rest:
        pair.check_fault(fault)


def test_a_store_through_a_stale_translation_is_lost_but_never_seen_by_the_folio(pair: Pair) -> None:
    assert pair.hvo.split_folio(H, pair.folio) == 0
    pair.machine.flush_tlb_all()
    pair.other.load_word(pair.tail)
    with pair.machine.trace.listen(pair.store_at(remapped)):
        pair.hvo.optimize_folio(H, pair.folio)
    assert pair.word_in(pair.old) == 0x5704E000
    assert pair.machine.cpus[0].load_word(pair.tail) != 0x5704E000
    pair.check_fault(_store_now(pair))


def _store_now(pair: Pair) -> int | PageFault:
    pair.store(AllFlushed())
    return pair.seen[-1][1]


def test_a_stale_leaf_serves_across_the_install_of_the_table_and_not_across_its_flush(pair: Pair) -> None:
    pair.other.load_word(pair.tail)  # cached: 2 MiB at once
    with pair.machine.trace.listen(pair.store_at(table_installed, remapped, flushed)):
        pair.hvo.optimize_folio(H, pair.folio)
    assert [name for name, _ in pair.seen] == ["entry.store", "flush.range", "entry.store", "flush.range"]
    # installed: the stale leaf and the new table tell the same frame; flushed: the store caches the single page
    assert [where for _, where in pair.seen[:3]] == [pair.old] * 3
    pair.check_fault(pair.seen[3][1])


def test_a_batch_keeps_a_cached_tail_usable_until_its_last_flush(pair: Pair) -> None:
    pair.other.load_word(pair.tail)
    second = new_folio(pair.machine, H.order)
    head = new_list(pair.machine, [pair.folio, second])
    with pair.machine.trace.listen(pair.store_at(table_installed, remapped, flushed, freed)):
        pair.hvo.optimize_folios(H, head)
    names = [name for name, _ in pair.seen]
    assert names[:5] == ["entry.store", "flush.all", "entry.store", "entry.store", "flush.all"]
    assert set(names[5:]) == {"page.free"}
    # between the flush after the splits and the one at the end the tail was remapped, and the old frame still hit
    assert [where for _, where in pair.seen[:4]] == [pair.old] * 4
    for _, fault in pair.seen[4:]:
        pair.check_fault(fault)


def test_who_never_cached_the_tail_faults_as_soon_as_it_is_remapped(pair: Pair) -> None:
    with pair.machine.trace.listen(pair.store_at(remapped)):
        pair.hvo.optimize_folio(H, pair.folio)
    assert [name for name, _ in pair.seen] == ["entry.store"]
    pair.check_fault(pair.seen[0][1])


def test_a_restored_tail_is_read_in_the_shared_frame_until_the_flush(pair: Pair) -> None:
    pair.hvo.optimize_folio(H, pair.folio)
    shared = pair.other.load_word(pair.tail)
    fourth = pair.other.load_word(pair.folio + OFFSET % PAGE + 3 * 64)  # what a restored tail's first slot reads
    assert shared != fourth
    seen: list[tuple[str, int]] = []

    def read(event: Event) -> None:
        if remapped(event) or flushed(event):
            seen.append((event.name, pair.other.load_word(pair.tail)))

    with pair.machine.trace.listen(read):
        assert pair.hvo.restore_folio(H, pair.folio) == 0
    assert seen == [("entry.store", shared)] * 7 + [("flush.range", fourth)]
    pair.other.store_word(pair.tail, 0x0E)  # and the tail is its own now
    assert pair.machine.cpus[0].load_word(pair.tail) == 0x0E
    assert pair.machine.cpus[0].load_word(pair.folio + OFFSET % PAGE) == shared


def test_where_the_full_flush_does_nothing_a_batch_leaves_a_freed_frame_within_reach() -> None:
    pair = Pair(replace(X86_64, traits=replace(X86_64.traits, flush_all_effective=False)))
    pair.other.load_word(pair.tail)
    with pair.machine.trace.listen(pair.store_at(flushed, freed)):
        pair.hvo.optimize_folios(H, new_list(pair.machine, [pair.folio]))
    assert {where for _, where in pair.seen} == {pair.old}
    assert pair.seen[-1][0] == "page.free"
