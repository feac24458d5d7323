# SPDX-License-Identifier: GPL-2.0-only
"""Every allocation that HVO asks for, failed in turn: nothing is lost, leaked, owned twice or miscounted.

What a struct page must read afterwards is told by an oracle of its own: the head's page as it was, a tail page as it
was, or, where it was ever remapped, a copy of the head's page whose first struct pages read as the ones after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pytest

from hvolab.arch import EntryKind, PgprotRole
from hvolab.hvo import ENOMEM, ENOTSUPP, Hvo
from hvolab.machine import MachineSpec, VmemmapBacking, build_machine
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab.machine.frames.source import Owner
from hvolab.release.gfp import GFP_HIGHUSER
from hvolab.trace import AllFlushed, EntriesStored, Event, FolioStep, GracePeriod
from hvolab_x86_64.description import X86_64
from tests.folios import (
    Hstate,
    Words,
    allocator,
    backing_frames,
    frames_of,
    is_optimized,
    listed,
    new_folio,
    new_list,
    restored_tail,
    vmemmap_pages,
    without_optimized_bit,
)

PMD, PUD = 9, 18
PAGE = 1 << 12
MEMORY = {PMD: 192 << 20, PUD: (2 << 30) + (256 << 20)}
TAILS = {PMD: 7, PUD: 4095}

Policy = Callable[[int], FailurePolicy]


def once(number: int) -> FailurePolicy:
    """The call of this number fails, and no other."""
    return FailCalls(frozenset({number}))


POLICIES: tuple[Policy, ...] = (once, FailFrom)
BACKINGS = (VmemmapBacking.BOOT, VmemmapBacking.BUDDY)
EACH_BACKING = pytest.mark.parametrize("backing", BACKINGS, ids=["boot", "buddy"])
EACH_POLICY = pytest.mark.parametrize("policy", POLICIES, ids=["once", "from then on"])


class World:
    """A machine, its folios, and what each of their vmemmap pages must read."""

    def __init__(
        self, order: int, count: int = 1, backing: VmemmapBacking = VmemmapBacking.BOOT, start: int = 0
    ) -> None:
        self.h = Hstate(order)
        spec = MachineSpec(memory=MEMORY[order], vmemmap=backing, deferred_struct_pages=order == PUD)
        self.machine = build_machine(X86_64.select(), spec)
        self.frames = allocator(self.machine)
        while start and (pfn := self.frames.allocate(order, GFP_HIGHUSER, 0)) != start - (1 << order):
            assert pfn is not None
            assert pfn < start
        self.hvo = Hvo(self.machine)
        self.folios = [new_folio(self.machine, order) for _ in range(count)]
        self.before = {folio: vmemmap_pages(self.machine, folio, order) for folio in self.folios}
        self.remapped = {folio: np.zeros(len(pages), dtype=np.bool_) for folio, pages in self.before.items()}
        #: Result of each folio that HVO ended with, since the last call.
        self.results: dict[int, int] = {}
        self.machine.trace.listeners.append(self._listen)
        self.elsewhere = self.used_elsewhere()

    def _listen(self, event: Event) -> None:
        if isinstance(event, FolioStep) and event.step.endswith(".end"):
            self.results[event.folio] = event.result
        if isinstance(event, EntriesStored) and event.live and event.level == "pte":
            for folio, remapped in self.remapped.items():
                first = (event.va - folio) // PAGE
                remapped[max(0, first) : max(0, first + event.after.size)] = True

    def fail(self, policy: FailurePolicy) -> None:
        """Let allocations fail from now on; numbers count from here."""
        self.frames.failure = policy
        self.results.clear()

    @property
    def optimized(self) -> list[int]:
        return [folio for folio in self.folios if is_optimized(self.machine, folio)]

    def whole_vmemmap(self) -> npt.NDArray[np.int64]:
        """The frame behind each page of the vmemmap, shared ones as often as they are shared."""
        pages, (first, stop) = self.machine.struct_pages, self.machine.vmemmap[0]
        size = 1 << 21
        return self.machine.tables.frames(pages.va(first), -(-(pages.va(stop) - pages.va(first)) // size) * 512)

    def tables(self) -> npt.NDArray[np.int64]:
        """The tables of the last level below the vmemmap."""
        pages, (first, stop) = self.machine.struct_pages, self.machine.vmemmap[0]
        found = []
        for va in range(pages.va(first), pages.va(stop), 1 << 21):
            step = self.machine.tables.walk(va)[2]
            if step.kind is EntryKind.TABLE:
                found.append(self.machine.target.decode("pmd", step.raw).pfn)
        return np.array(found, dtype=np.int64)

    def used_elsewhere(self) -> int:
        """Frames in use that neither back the vmemmap nor are tables below it: HVO leaves their number alone."""
        used = self.frames.allocated_frames + self.frames.reserved_frames
        return used - backing_frames(self.machine).size - self.tables().size

    def check(self) -> None:
        """Everything that must hold at rest, whatever failed."""
        self._check_ownership()
        for folio in self.folios:
            self._check_entries(folio)
            self._check_contents(folio)
        assert self.machine.counters.total == backing_frames(self.machine).size
        assert self.machine.key == len(self.optimized)

    def _check_ownership(self) -> None:
        machine, whole, tables = self.machine, self.whole_vmemmap(), self.tables()
        backing, counts = np.unique(whole, return_counts=True)
        assert (self.frames.owner(backing) != Owner.FREE).all()
        assert (self.frames.owner(tables) == Owner.ALLOCATED).all()
        assert not np.intersect1d(backing, tables).size
        assert np.unique(tables).size == tables.size
        for folio in self.folios:
            pfn = machine.struct_pages.pfn(folio)
            assert not ((backing >= pfn) & (backing < pfn + (1 << self.h.order))).any()
        shared = backing[counts > 1]
        assert set(shared.tolist()) == {int(frames_of(machine, folio, self.h.order)[0]) for folio in self.optimized}
        assert set(counts[counts > 1].tolist()) <= {TAILS[self.h.order] + 1}
        assert self.used_elsewhere() == self.elsewhere
        base, limit = machine.struct_pages.base, machine.struct_pages.base + whole.size * PAGE
        for cpu in machine.cpus:
            cached = cpu.cached_translations()
            assert cached is not None
            vmemmap = cached[(cached[:, 0] >= base) & (cached[:, 0] < limit)]
            assert (self.frames.owner(vmemmap[:, 1].astype(np.int64)) != Owner.FREE).all()

    def _check_entries(self, folio: int) -> None:
        tables, target = self.machine.tables, self.machine.target
        optimized = is_optimized(self.machine, folio)
        for page, run in enumerate(_entries(self, folio)):
            role = PgprotRole.KERNEL_RO if optimized and page else PgprotRole.KERNEL
            assert run & ~target.page_form.address_mask == target.bits("pte", role), tables.describe(
                folio + page * PAGE
            )

    def _check_contents(self, folio: int) -> None:
        now, before, machine = vmemmap_pages(self.machine, folio, self.h.order), self.before[folio], self.machine
        assert (without_optimized_bit(machine, now[0]) == before[0]).all()
        tails: Words = now[1:]
        if is_optimized(machine, folio):
            assert (tails == now[0]).all()
            return
        remapped = self.remapped[folio][1:]
        assert (tails[remapped] == restored_tail(machine, before[0])).all()
        assert (tails[~remapped] == before[1:][~remapped]).all()


def _entries(world: World, folio: int) -> Iterable[int]:
    """The last-level entries of a folio's vmemmap; none for what a leaf above still maps."""
    pages = TAILS[world.h.order] + 1
    for run in world.machine.tables.runs(folio, folio + pages * PAGE):
        if run.level is world.machine.target.mode.last:
            yield from run.raws.tolist()


# One folio.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "number", "policy", "backing"),
    [
        *((PMD, number, policy, backing) for number in (1, 2) for policy in POLICIES for backing in BACKINGS),
        *((PUD, number, once, VmemmapBacking.BOOT) for number in range(1, 10)),
        *((PUD, number, FailFrom, VmemmapBacking.BUDDY) for number in (1, 2, 3, 9)),
    ],
)
def test_an_optimize_succeeds_without_a_new_head_and_fails_without_a_table(
    order: int, number: int, policy: Policy, backing: VmemmapBacking
) -> None:
    world = World(order, backing=backing)
    (folio,) = world.folios
    old_head = int(frames_of(world.machine, folio, order)[0])
    world.fail(policy(number))
    world.hvo.optimize_folio(world.h, folio)
    without_head = number == 1 and policy is once
    assert world.results == {folio: 0 if without_head else -ENOMEM}
    assert world.optimized == ([folio] if without_head else [])
    assert (int(frames_of(world.machine, folio, order)[0]) == old_head) is (number <= 2)  # a rollback keeps the new one
    world.check()

    world.fail(NeverFail())
    world.hvo.optimize_folio(world.h, folio)
    assert world.optimized == [folio]
    world.check()
    assert world.hvo.restore_folio(world.h, folio) == 0
    world.check()


def test_a_rollback_is_reached_only_where_a_folio_spans_several_tables() -> None:
    world = World(PUD)
    (folio,) = world.folios
    world.fail(once(4))  # the third table
    world.hvo.optimize_folio(world.h, folio)
    assert world.results == {folio: -ENOMEM}
    assert world.remapped[folio].tolist() == [True] * 1024 + [False] * 3072
    world.check()


@pytest.mark.parametrize(
    ("order", "number", "policy", "backing"),
    [
        *((PMD, number, policy, backing) for number in range(1, 8) for policy in POLICIES for backing in BACKINGS),
        (PUD, 1, once, VmemmapBacking.BUDDY),
        (PUD, 2048, once, VmemmapBacking.BOOT),
        (PUD, 4095, FailFrom, VmemmapBacking.BUDDY),
    ],
)
def test_a_restore_that_gets_too_few_pages_changes_nothing(
    order: int, number: int, policy: Policy, backing: VmemmapBacking
) -> None:
    world = World(order, backing=backing)
    (folio,) = world.folios
    world.hvo.optimize_folio(world.h, folio)
    entries, counters = list(_entries(world, folio)), (world.machine.counters.nr_memmap_pages, world.machine.key)
    world.fail(policy(number))
    assert world.hvo.restore_folio(world.h, folio) == -ENOMEM
    assert list(_entries(world, folio)) == entries
    assert (world.machine.counters.nr_memmap_pages, world.machine.key) == counters
    assert world.optimized == [folio]
    world.check()

    world.fail(NeverFail())
    assert world.hvo.restore_folio(world.h, folio) == 0
    assert world.optimized == []
    world.check()


@EACH_POLICY
def test_a_folio_whose_pmd_is_split_already_needs_only_its_head_and_not_even_that(
    policy: Policy,
) -> None:
    world = World(PMD, 2)
    world.hvo.optimize_folio(world.h, world.folios[0])
    world.fail(policy(1))
    world.hvo.optimize_folio(world.h, world.folios[1])
    assert world.optimized == world.folios
    world.check()


@pytest.mark.parametrize("order", [PMD, PUD])
def test_what_is_optimized_already_or_switched_off_asks_for_nothing(order: int) -> None:
    world = World(order)
    (folio,) = world.folios
    world.machine.optimize_enabled = False
    world.fail(FailFrom(1))
    world.hvo.optimize_folio(world.h, folio)
    assert (world.optimized, world.frames.failure.calls) == ([], 0)
    assert world.hvo.restore_folio(world.h, folio) == 0  # not optimized: nothing to do
    world.check()

    world.machine.optimize_enabled = True
    world.fail(NeverFail())
    world.hvo.optimize_folio(world.h, folio)
    world.fail(FailFrom(1))
    world.hvo.optimize_folio(world.h, folio)
    assert (world.optimized, world.frames.failure.calls) == ([folio], 0)
    world.check()

    world.machine.optimize_enabled = False
    world.fail(NeverFail())
    assert world.hvo.restore_folio(world.h, folio) == 0  # which the switch does not forbid
    world.check()


# Batches of four: the vmemmap of 2 ** 15 frames lies in one PMD, so two have theirs in one and two in another.
BORDER = 1 << 15


def a_batch(backing: VmemmapBacking) -> tuple[World, list[int]]:
    """Folios on both sides of the border of two PMDs."""
    world = World(PMD, 4, backing, start=BORDER - 2 * 512)
    assert [folio >> 21 for folio in world.folios] == [world.folios[0] >> 21] * 2 + [world.folios[3] >> 21] * 2
    assert world.folios[1] >> 21 != world.folios[2] >> 21
    return world, world.folios


@EACH_BACKING
@pytest.mark.parametrize("number", range(1, 8))
def test_a_batch_makes_up_for_any_single_failure(number: int, backing: VmemmapBacking) -> None:
    world, batch = a_batch(backing)
    head = new_list(world.machine, batch)
    _without_links(world, batch)
    world.fail(once(number))
    world.hvo.optimize_folios(world.h, head)
    assert world.frames.failure.calls >= 6
    assert world.optimized == batch
    world.check()


@EACH_BACKING
@pytest.mark.parametrize(
    ("numbers", "retried"),
    [
        ({1, 3}, 1),  # the first table, also when allocated again: the new head page is freed, and allocated
        ({2, 6}, 1),  # the second, where the first two folios have given back their tails
        ({1, 2}, 0),
        ({2, 5}, 0),
        ({1, 3, 5}, 1),
    ],
    ids=str,
)
def test_a_folio_without_a_table_is_tried_again_when_the_batch_has_pages_to_give_back(
    numbers: set[int], retried: int, backing: VmemmapBacking
) -> None:
    world, batch = a_batch(backing)
    head = new_list(world.machine, batch)
    _without_links(world, batch)
    world.fail(FailCalls(frozenset(numbers)))
    with world.machine.trace.record() as events:
        world.hvo.optimize_folios(world.h, head)
    assert sum(isinstance(event, AllFlushed) for event in events) == 2 + retried
    assert sum(isinstance(event, GracePeriod) for event in events) == 1
    assert world.optimized == (batch[1:] if 5 in numbers and retried else batch)
    world.check()


@EACH_BACKING
@pytest.mark.parametrize(("number", "optimized"), [(1, 0), (2, 2), (3, 4), (4, 4), (6, 4)])
def test_a_batch_without_memory_optimizes_what_is_split_and_leaves_the_rest(
    number: int, optimized: int, backing: VmemmapBacking
) -> None:
    world, batch = a_batch(backing)
    head = new_list(world.machine, batch)
    _without_links(world, batch)
    world.fail(FailFrom(number))
    world.hvo.optimize_folios(world.h, head)
    assert world.optimized == batch[:optimized]
    assert listed(world.machine, head) == batch
    world.check()


@pytest.mark.parametrize(
    ("policy", "backing"), [(once, BACKINGS[0]), (FailFrom, BACKINGS[1])], ids=["once", "from then on"]
)
@pytest.mark.parametrize("number", range(1, 29))
def test_a_batch_restores_up_to_the_folio_that_gets_too_few_pages(
    number: int, policy: Policy, backing: VmemmapBacking
) -> None:
    world, batch = a_batch(backing)
    head, other = new_list(world.machine, batch), new_list(world.machine)
    _without_links(world, batch)
    world.hvo.optimize_folios(world.h, head)
    world.fail(policy(number))
    restored = (number - 1) // TAILS[PMD]
    assert world.hvo.restore_folios(world.h, head, other) == -ENOMEM
    assert listed(world.machine, head) == batch[restored:] == world.optimized
    assert listed(world.machine, other) == batch[:restored][::-1]
    _without_links(world, batch)
    world.check()

    world.fail(NeverFail())
    assert world.hvo.restore_folios(world.h, head, other) == len(batch) - restored
    assert (listed(world.machine, head), world.optimized) == ([], [])
    _without_links(world, batch)
    world.check()


def test_a_batch_that_is_switched_off_asks_for_nothing_and_moves_everything() -> None:
    world, batch = a_batch(VmemmapBacking.BOOT)
    head, other = new_list(world.machine, batch), new_list(world.machine)
    world.machine.optimize_enabled = False
    world.fail(FailFrom(1))
    world.hvo.optimize_folios(world.h, head)
    assert world.hvo.restore_folios(world.h, head, other) == 0
    assert world.frames.failure.calls == 0
    assert listed(world.machine, other) == batch[::-1]
    _without_links(world, batch)
    world.check()


def _without_links(world: World, batch: list[int]) -> None:
    """Take the heads' list links as they are now: lists are not what the oracle is about."""
    layout = world.machine.struct_pages.layout
    for folio in batch:
        now = vmemmap_pages(world.machine, folio, world.h.order)[0]
        for offset in (layout.lru_next, layout.lru_prev):
            world.before[folio][0][offset // 8] = now[offset // 8]


# Vmemmap that lies in what it describes.


def test_self_hosted_vmemmap_is_refused_and_nothing_of_it_is_freed() -> None:
    world = World(PMD, 1, VmemmapBacking.SELF_HOSTED, start=BORDER + 2 * 512)
    (folio,) = world.folios
    whole = world.whole_vmemmap()
    for _ in range(2):
        world.fail(NeverFail())
        world.hvo.optimize_folio(world.h, folio)
        assert world.results == {folio: -ENOTSUPP}
        assert (world.whole_vmemmap() == whole).all()
        world.check()
