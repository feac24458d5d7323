# SPDX-License-Identifier: GPL-2.0-only
"""Two machines with the same bytes, one for hvolab's pool and one for the pool of a kernel's own code."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Final, Protocol

from hvolab.arch import Target
from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import KernelBug
from hvolab.hugetlb import Hstate, Pool, hstates, memory_failure
from hvolab.hugetlb.demote import demote_pool_huge_page
from hvolab.hugetlb.reservations import reserve, unreserve
from hvolab.machine import VmemmapBacking
from hvolab.machine.frames.failure import FailurePolicy
from hvolab_kernel.comparison.callers.functions import functions_of
from hvolab_kernel.comparison.callers.hstate import KernelHstate, place_hstates
from hvolab_kernel.comparison.callers.kernel_pool import POISONED, KernelPool
from hvolab_kernel.comparison.callers.scenarios import PoolOperation, PoolScenario, PoolStep
from hvolab_kernel.comparison.comparer import OMITTED, CaseResult, ComparisonCase
from hvolab_kernel.comparison.differences import (
    StateDifference,
    differing_counters,
    differing_memory,
    differing_results,
)
from hvolab_kernel.comparison.judgment import KernelJudge
from hvolab_kernel.comparison.machine_pair import MachinePair, MachineUnderTest, StepResult, StepResults
from hvolab_vmlinux.kernel import Kernel

#: Surplus folios that the pools allow.
_OVERCOMMIT: Final = 64


class AnyPool(Protocol):
    """Methods that the pools of the engine and of a kernel share."""

    def set_max_huge_pages(self, count: int) -> int | None:
        """Grow or shrink the pool."""

    def alloc_surplus(self, node: int) -> int | None:
        """Allocate a surplus folio."""

    def dequeue(self) -> int | None:
        """Take a free folio into use."""

    def put(self, folio: int) -> None:
        """Free a folio that was in use."""

    def dissolve(self, folio: int) -> int:
        """Free a free folio to the allocator."""

    def demote(self, count: int) -> int:
        """Demote free folios."""

    def reserve(self, count: int) -> int:
        """Reserve folios."""

    def unreserve(self, count: int) -> None:
        """Release reservations."""

    def dequeue_reserved(self) -> int | None:
        """Take a reserved folio into use."""

    def alloc_for_migration(self) -> int | None:
        """Take a free folio into use, or allocate a temporary one."""

    def poison(self, folio: int, *, recorded: bool) -> int:
        """Report a memory error in a folio."""


#: Operations that take a folio into use, with their number.
_TAKING: Final[dict[PoolOperation, Callable[[AnyPool, int], int | None]]] = {
    PoolOperation.ALLOC_SURPLUS: lambda pool, node: pool.alloc_surplus(node),
    PoolOperation.ALLOC_TEMPORARY: lambda pool, _: pool.alloc_for_migration(),
    PoolOperation.DEQUEUE: lambda pool, _: pool.dequeue(),
    PoolOperation.DEQUEUE_RESERVED: lambda pool, _: pool.dequeue_reserved(),
}


class EnginePool(Pool):
    """The engine's pool, which can be demoted into another, `into`."""

    into: Pool | None = None

    def demote(self, count: int) -> int:
        """Demote free folios; return 0 or a negative errno."""
        return 0 if self.into is None else min(0, demote_pool_huge_page(self, self.into, count))

    def reserve(self, count: int) -> int:
        """Reserve folios; return 0 or a negative errno."""
        return reserve(self, count)

    def unreserve(self, count: int) -> None:
        """Release reservations."""
        unreserve(self, count)

    def dequeue_reserved(self) -> int | None:
        """Take a reserved folio into use, whose reservation is not restored. Kernel: alloc_hugetlb_folio_reserve()."""
        folio = self.dequeue(reserved=True)
        if folio is not None:
            self.folio.set_flag(folio, self.machine.struct_pages.layout.hpg_restore_reserve, value=False)
        return folio

    def alloc_for_migration(self) -> int | None:
        """Take a free folio into use, or allocate a temporary one. Kernel: alloc_hugetlb_folio_nodemask()."""
        folio = self.dequeue()
        return self.alloc_temporary() if folio is None else folio

    def poison(self, folio: int, *, recorded: bool) -> int:
        """Report an uncorrected memory error in a folio; return 0 or a negative errno."""
        return memory_failure(self, self.machine.struct_pages.pfn(folio) + POISONED, recorded=recorded)


class PoolUnderTest:
    """One pool on one machine.

    machine    the machine
    pool       the engine's pool, or the kernel's
    h          its hstate
    in_use     folios in use, oldest first
    """

    def __init__(
        self, machine: MachineUnderTest, pool: AnyPool, load: Callable[[int], int], h: Hstate | KernelHstate
    ) -> None:
        self.machine = machine
        self.pool = pool
        self.h = h
        self.in_use: list[int] = []
        self.load = load
        self._lru = machine.machine.struct_pages.layout.lru_next

    def free_folios(self) -> list[list[int]]:
        """Return the folios of each node's free list, in order."""
        return [list(self._folios(head)) for head in self.h.freelists]

    def _folios(self, head: int) -> Iterator[int]:
        node = self.load(head)
        for _ in range(self.machine.machine.memory.frames):
            if node == head:
                return
            yield node - self._lru
            node = self.load(node)
        raise KernelBug(f"the free list at VA {head:#x} does not end")

    def run(self, step: PoolStep) -> StepResult:
        """Run one step."""
        return self.machine.observe(partial(self._carry_out, step))

    def _carry_out(self, step: PoolStep) -> int:
        pool, number, result = self.pool, step.number, None
        if step.operation in _TAKING:
            return self._used(_TAKING[step.operation](pool, number))
        match step.operation:
            case PoolOperation.RESIZE:
                result = pool.set_max_huge_pages(number)
            case PoolOperation.PUT if number < len(self.in_use):
                pool.put(self.in_use.pop(number))
            case PoolOperation.DISSOLVE:
                free = list(chain.from_iterable(self.free_folios()))
                result = pool.dissolve(free[number]) if number < len(free) else 0
            case PoolOperation.DEMOTE:
                result = pool.demote(number)
            case PoolOperation.RESERVE:
                result = pool.reserve(number)
            case PoolOperation.UNRESERVE:
                pool.unreserve(min(number, self.reserved))
            case PoolOperation.POISON | PoolOperation.POISON_UNRECORDED:
                folios = [*chain.from_iterable(self.free_folios()), *self.in_use]
                recorded = step.operation is PoolOperation.POISON
                result = pool.poison(folios[number], recorded=recorded) if number < len(folios) else 0
            case PoolOperation.SWITCH_OFF:
                self.machine.machine.optimize_enabled = False
        return result or 0

    @property
    def reserved(self) -> int:
        """Number of reserved folios."""
        return counters_of(self.h)["resv"]

    def _used(self, folio: int | None) -> int:
        if folio is None:
            return 0
        self.in_use.append(folio)
        return folio


class PoolPair:
    """Two equal machines, each with a pool of the same huge page size.

    engine_pools, kernel_pools  pools of each hstate
    engine, kernel              those of a scenario's size
    """

    def __init__(self, target: Target, kernel: Kernel, *, memory: int, nodes: int) -> None:
        pair = self._pair = MachinePair(target, kernel, memory=memory, backing=VmemmapBacking.BOOT, nodes=nodes)
        engine = pair.engine.machine
        self._functions = functions_of(kernel)
        pair.kernel_hvo.trace_callers(self._functions.callers)
        self._hstates = hstates(engine)
        self._kernel_hstates = place_hstates(pair.kernel_hvo.kernel_cpu.loaded, engine.nodes, self._hstates)
        for h, kernel_h in zip(self._hstates, self._kernel_hstates, strict=True):
            h.nr_overcommit_huge_pages = _OVERCOMMIT
            KernelPool(pair.kernel_hvo, kernel_h, self._functions).set_overcommit(_OVERCOMMIT)
        #: Position of the frame that holds the engine's list heads.
        self._data = int(engine.tables.frames(self._hstates[0].freelists[0], 1)[0]) - engine.memory.first_pfn
        for one in pair.both:
            one.take_initial_state()

    @property
    def machines(self) -> tuple[MachineUnderTest, MachineUnderTest]:
        """The engine's machine, then the kernel's."""
        return self._pair.both

    def watch(self, scenario: PoolScenario) -> bool:
        """Watch the kernel's stores to page tables, unless there are thousands of a folio; return whether they are."""
        return self._pair.watch(self._hstates[self._index(scenario)].order)

    def _index(self, scenario: PoolScenario) -> int:
        return next(index for index, h in enumerate(self._hstates) if h.huge_page == scenario.huge_page)

    def begin(self, scenario: PoolScenario) -> list[StepResults]:
        """Restore the machines, with an empty pool, and run a scenario's prelude; return the results of that."""
        pair, hvo = self._pair, self._pair.kernel_hvo
        for one in pair.both:
            one.restore()
            one.listed[:] = False
            one.used[self._data] = False
        index = self._index(scenario)
        hs = copy.deepcopy(self._hstates)
        pools = [EnginePool(pair.engine.machine, h, pair.engine.hvo) for h in hs]
        self.engine_pools = [PoolUnderTest(pair.engine, pool, pool.cpu.load_word, pool.h) for pool in pools]
        for pool in pools:
            pool.into = next((one for one in pools if one.h.order == pool.h.demote_order), None)
        kernel_pools = [KernelPool(hvo, h, self._functions) for h in self._kernel_hstates]
        self.kernel_pools = [PoolUnderTest(pair.kernel, pool, pool.load, pool.h) for pool in kernel_pools]
        self.engine, self.kernel = self.engine_pools[index], self.kernel_pools[index]
        pair.same_object = self._same_list_head(pools)
        return [self.run(step) for step in scenario.prelude]

    def _same_list_head(self, pools: Sequence[Pool]) -> Callable[[int, int], bool]:
        """Return the test of two addresses for the same list head: of a free list, or a list that a function uses.

        The kernel has the lists that a function uses on its stack, the engine two of each pool.
        """
        stack = self._pair.kernel_hvo.kernel_cpu.loaded.stack
        both = zip(self.engine_pools, self.kernel_pools, strict=True)
        heads = {pair for ours, theirs in both for pair in zip(ours.h.freelists, theirs.h.freelists, strict=True)}
        work_lists = {head for pool in pools for head in pool.work_lists}

        def same(ours: int, theirs: int) -> bool:
            known = (ours, theirs) in heads or (ours in work_lists and stack.va <= theirs < stack.end)
            return known or self._same_record(ours, theirs)

        return same

    def _same_record(self, ours: int, theirs: int) -> bool:
        """Return whether two addresses are those of equal lists of records of poisoned pages."""
        loaded = self._pair.kernel_hvo.kernel_cpu.loaded
        machine = self._pair.engine.machine
        while ours and theirs:
            frame = (ours - machine.virt(0)) >> machine.target.mode.page_shift
            if frame - machine.memory.first_pfn != self._data or not loaded.holds(theirs, 2 * WORD_BYTES):
                return False
            (ours, our_page), (theirs, their_page) = (
                [load(va), load(va + WORD_BYTES)] for load, va in ((self.engine.load, ours), (self.kernel.load, theirs))
            )
            if our_page != their_page:
                return False
        return ours == theirs

    def fail(self, policy: Callable[[], FailurePolicy]) -> None:
        """Make allocations fail from now on."""
        for one in self._pair.both:
            one.frames.failure = policy()

    @property
    def allocations(self) -> int:
        """Allocations since :meth:`fail`, on the machine with more."""
        return max(one.frames.failure.calls for one in self._pair.both)

    def run(self, step: PoolStep) -> StepResults:
        """Run one step on the engine's pool, then on the kernel's."""
        self._note_vmemmap()
        results = self._pair.observe(str(step), *(partial(one.run, step) for one in (self.engine, self.kernel)))
        self._note_vmemmap()
        return results

    def _note_vmemmap(self) -> None:
        """Note the vmemmap of every folio of the pool, which the kernel may link."""
        for one in (*self.engine_pools, *self.kernel_pools):
            one.machine.note_vmemmap([*chain.from_iterable(one.free_folios()), *one.in_use], one.h.order)

    def differences(self) -> Iterator[StateDifference]:
        """Yield the differences in counters, lists and memory."""
        for ours, theirs in zip(self.engine_pools, self.kernel_pools, strict=True):
            yield from self._differing_pools(ours, theirs)
        pfn = self._pair.kernel.machine.struct_pages.pfn
        for one in (self.kernel, self.engine):  # the kernel has folios in use on a list, the engine does not
            for folio in one.in_use:
                one.machine.listed[pfn(folio) - self._pair.kernel.machine.memory.first_pfn] = True
        yield from differing_counters(self._pair)
        yield from differing_memory(self._pair)

    def _differing_pools(self, engine: PoolUnderTest, kernel: PoolUnderTest) -> Iterator[StateDifference]:
        """Yield the differences in the counters and free lists of a hstate."""
        ours, theirs = map(counters_of, (engine.h, kernel.h))
        where = f"of the hstate of order {engine.h.order}"
        for name, value in theirs.items():
            if value != ours[name]:
                yield StateDifference(f"{name} {where}", f"{value}", f"{ours[name]}")
        pfn = self._pair.kernel.machine.struct_pages.pfn
        both = zip(kernel.free_folios(), engine.free_folios(), strict=True)
        for node, lists_of_node in enumerate(both):
            listed = [", ".join(f"{pfn(folio):#x}" for folio in folios) for folios in lists_of_node]
            if listed[0] != listed[1]:
                yield StateDifference(f"free list of node {node} {where}", *listed)


def counters_of(h: Hstate | KernelHstate) -> dict[str, int]:
    """Return counters and turns of a hstate, in sum and for each node."""
    if isinstance(h, KernelHstate):
        return h.counters()
    found = {name: getattr(h, name) for name in ("nr", "free", "surplus", "resv", "max_huge_pages")}
    for name, counts in (("nr", h.nr_node), ("free", h.free_node), ("surplus", h.surplus_node)):
        found |= {f"{name}, node {node}": count for node, count in enumerate(counts)}
    return found | {f"next node to {name}": node for name, node in h.next_node.items()}


class PoolComparer:
    """Runs cases of one kernel's pools on pairs of machines, which are built on first use.

    target     the target of the machines; the engine follows its release
    kernel     the kernel
    functions  the functions that its pools call
    omitted    what is not compared
    judge      applies rules to the kernel's machines

    Raises KernelImageError for a kernel whose functions cannot be called.
    """

    def __init__(self, target: Target, kernel: Kernel) -> None:
        self.functions = functions_of(kernel)
        self.target = target
        lru = "page->lru of huge pages in use, which the kernel has on a list"
        self.omitted = (OMITTED, lru, *self.functions.notes)
        self.judge = KernelJudge()
        self.kernel = kernel
        self._pairs: dict[tuple[int, int], PoolPair] = {}

    @property
    def against(self) -> str:
        """The reference, in words."""
        return f"the model of {self.target.release}"

    def pair(self, scenario: PoolScenario) -> PoolPair:
        """Return the machines for a scenario."""
        memory, nodes = scenario.memory, scenario.nodes
        pair = self._pairs.get((memory, nodes))
        if pair is None:
            pair = PoolPair(self.target, self.kernel, memory=memory, nodes=nodes)
            self._pairs[memory, nodes] = pair
        return pair

    def run(self, case: ComparisonCase[PoolScenario]) -> CaseResult:
        """Run a case on both machines."""
        scenario, pair = case.scenario, self.pair(case.scenario)
        prelude = pair.begin(scenario)
        pair.fail(case.policy)
        with self.judge.watch(pair.machines[1].machine, entries=pair.watch(scenario)):
            steps = [pair.run(step) for step in scenario.steps]
        differences = [one for results in (*prelude, *steps) for one in differing_results(results)]
        result = CaseResult(
            (*differences, *pair.differences()),
            pair.allocations,
            sum(len(results.kernel.calls) for results in steps),
        )
        if all(isinstance(results.kernel.value, int) for results in steps):  # each call has returned
            self._judge(pair, agree=not result.differences)
        return result._replace(evidence=self.judge.take())

    def _judge(self, pair: PoolPair, *, agree: bool) -> None:
        """Apply rules to the state of the kernel's machine, and to the pools' counters and lists if both agree."""
        folios = {one.h.order: {*chain.from_iterable(one.free_folios()), *one.in_use} for one in pair.kernel_pools}
        pools = [one.pool for one in pair.engine_pools if isinstance(one.pool, Pool)] if agree else []
        for pool in pools:
            folios[pool.h.order] |= pool.leaked
        self.judge.at_rest(pair.machines[1].machine, folios, pools)
