# SPDX-License-Identifier: GPL-2.0-only
"""Two machines with the same bytes, one for hvolab's pool and one for the pool of a kernel's own code."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Final, Protocol

from hvolab.arch import Target
from hvolab.errors import KernelBug
from hvolab.hugetlb import Hstate, Pool, hstates
from hvolab.machine import VmemmapBacking
from hvolab.machine.frames.failure import FailurePolicy
from hvolab_kernel.comparison.callers.hstate import place_hstates
from hvolab_kernel.comparison.callers.kernel_pool import KernelPool, require_functions
from hvolab_kernel.comparison.callers.scenarios import PoolOperation, PoolScenario, PoolStep
from hvolab_kernel.comparison.comparer import OMITTED, CaseResult, ComparisonCase
from hvolab_kernel.comparison.differences import (
    StateDifference,
    differing_counters,
    differing_memory,
    differing_results,
)
from hvolab_kernel.comparison.machine_pair import MachinePair, MachineUnderTest, StepResult, StepResults
from hvolab_vmlinux.kernel import Kernel

_MEMORY: Final = 512 << 20
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


class PoolUnderTest:
    """One pool on one machine.

    machine    the machine
    pool       the engine's pool, or the kernel's
    freelists  VA of the list head of free folios, for each node
    in_use     folios in use, oldest first
    """

    def __init__(
        self, machine: MachineUnderTest, pool: AnyPool, load: Callable[[int], int], freelists: Sequence[int]
    ) -> None:
        self.machine = machine
        self.pool = pool
        self.freelists = freelists
        self.in_use: list[int] = []
        self._load = load
        self._lru = machine.machine.struct_pages.layout.lru_next

    def free_folios(self) -> list[list[int]]:
        """Return the folios of each node's free list, in order."""
        return [list(self._folios(head)) for head in self.freelists]

    def _folios(self, head: int) -> Iterator[int]:
        node = self._load(head)
        for _ in range(self.machine.machine.memory.frames):
            if node == head:
                return
            yield node - self._lru
            node = self._load(node)
        raise KernelBug(f"the free list at VA {head:#x} does not end")

    def run(self, step: PoolStep) -> StepResult:
        """Run one step."""
        return self.machine.observe(partial(self._carry_out, step))

    def _carry_out(self, step: PoolStep) -> int:
        pool, number = self.pool, step.number
        match step.operation:
            case PoolOperation.RESIZE:
                return pool.set_max_huge_pages(number) or 0
            case PoolOperation.ALLOC_SURPLUS:
                return self._used(pool.alloc_surplus(number))
            case PoolOperation.DEQUEUE:
                return self._used(pool.dequeue())
            case PoolOperation.PUT if number < len(self.in_use):
                pool.put(self.in_use.pop(number))
            case PoolOperation.DISSOLVE:
                free = list(chain.from_iterable(self.free_folios()))
                return pool.dissolve(free[number]) if number < len(free) else 0
            case PoolOperation.SWITCH_OFF:
                self.machine.machine.optimize_enabled = False
        return 0

    def _used(self, folio: int | None) -> int:
        if folio is None:
            return 0
        self.in_use.append(folio)
        return folio


class PoolPair:
    """Two equal machines, each with a pool of the same huge page size.

    h, kernel_h     hstate of the engine, and the kernel's
    engine, kernel  the pools
    """

    def __init__(self, target: Target, kernel: Kernel, nodes: int) -> None:
        pair = self._pair = MachinePair(
            target, kernel, memory=nodes * _MEMORY, backing=VmemmapBacking.BOOT, nodes=nodes
        )
        engine = pair.engine.machine
        self._hstates = hstates(engine)
        self._kernel_hstates = place_hstates(pair.kernel_hvo.kernel_cpu.loaded, engine.nodes, self._hstates)
        for h, kernel_h in zip(self._hstates, self._kernel_hstates, strict=True):
            h.nr_overcommit_huge_pages = _OVERCOMMIT
            KernelPool(pair.kernel_hvo, kernel_h).set_overcommit(_OVERCOMMIT)
        #: Position of the frame that holds the engine's list heads.
        self._data = int(engine.tables.frames(self._hstates[0].freelists[0], 1)[0]) - engine.memory.first_pfn
        for one in pair.both:
            one.take_initial_state()

    def begin(self, scenario: PoolScenario) -> list[StepResults]:
        """Restore the machines, with an empty pool, and run a scenario's prelude; return the results of that."""
        pair, hvo = self._pair, self._pair.kernel_hvo
        for one in pair.both:
            one.restore()
            one.listed[:] = False
            one.used[self._data] = False
        index = next(index for index, h in enumerate(self._hstates) if h.huge_page == scenario.huge_page)
        self.h, self.kernel_h = copy.deepcopy(self._hstates[index]), self._kernel_hstates[index]
        pool, kernel_pool = Pool(pair.engine.machine, self.h, pair.engine.hvo), KernelPool(hvo, self.kernel_h)
        self.engine = PoolUnderTest(pair.engine, pool, pool.cpu.load_word, self.h.freelists)
        self.kernel = PoolUnderTest(pair.kernel, kernel_pool, kernel_pool.load, self.kernel_h.freelists)
        pair.same_object = self._same_list_head(pool)
        return [self.run(step) for step in scenario.prelude]

    def _same_list_head(self, pool: Pool) -> Callable[[int, int], bool]:
        """Return the test of two addresses for the same list head: of a free list, or a list that a function uses.

        The kernel has the lists that a function uses on its stack, the engine two of a pool.
        """
        stack = self._pair.kernel_hvo.kernel_cpu.loaded.stack
        heads = set(zip(self.h.freelists, self.kernel_h.freelists, strict=True))
        return lambda ours, theirs: (
            (ours, theirs) in heads or (ours in pool.work_lists and stack.va <= theirs < stack.end)
        )

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
        for one in (self.engine, self.kernel):
            one.machine.note_vmemmap([*chain.from_iterable(one.free_folios()), *one.in_use], self.h.order)

    def differences(self) -> Iterator[StateDifference]:
        """Yield the differences in counters, lists and memory."""
        ours, theirs = engine_counters(self.h), self.kernel_h.counters()
        for name, value in theirs.items():
            if value != ours[name]:
                yield StateDifference(f"{name} of the hstate", f"{value}", f"{ours[name]}")
        pfn = self._pair.kernel.machine.struct_pages.pfn
        both = zip(self.kernel.free_folios(), self.engine.free_folios(), strict=True)
        for node, lists_of_node in enumerate(both):
            listed = [", ".join(f"{pfn(folio):#x}" for folio in folios) for folios in lists_of_node]
            if listed[0] != listed[1]:
                yield StateDifference(f"free list of node {node}", *listed)
        for one in (self.kernel, self.engine):  # the kernel has folios in use on a list, the engine does not
            for folio in one.in_use:
                one.machine.listed[pfn(folio) - self._pair.kernel.machine.memory.first_pfn] = True
        yield from differing_counters(self._pair)
        yield from differing_memory(self._pair)


def engine_counters(h: Hstate) -> dict[str, int]:
    """Return counters and turns of hvolab's hstate, in sum and for each node, named as the kernel's are."""
    found = {name: getattr(h, name) for name in ("nr", "free", "surplus", "resv", "max_huge_pages")}
    for name, counts in (("nr", h.nr_node), ("free", h.free_node), ("surplus", h.surplus_node)):
        found |= {f"{name}, node {node}": count for node, count in enumerate(counts)}
    return found | {f"next node to {name}": node for name, node in h.next_node.items()}


class PoolComparer:
    """Runs cases of one kernel's pools on pairs of machines, which are built on first use.

    target   the target of the machines; the engine follows its release
    omitted  what is not compared

    Raises KernelImageError for a kernel whose functions cannot be called.
    """

    omitted: tuple[str, ...] = (OMITTED, "page->lru of huge pages in use, which the kernel has on a list")

    def __init__(self, target: Target, kernel: Kernel) -> None:
        require_functions(kernel)
        self.target = target
        self._kernel = kernel
        self._pairs: dict[int, PoolPair] = {}

    def pair(self, scenario: PoolScenario) -> PoolPair:
        """Return the machines for a scenario."""
        pair = self._pairs.get(scenario.nodes)
        if pair is None:
            pair = self._pairs[scenario.nodes] = PoolPair(self.target, self._kernel, scenario.nodes)
        return pair

    def run(self, case: ComparisonCase[PoolScenario]) -> CaseResult:
        """Run a case on both machines."""
        scenario, pair = case.scenario, self.pair(case.scenario)
        prelude = pair.begin(scenario)
        pair.fail(case.policy)
        steps = [pair.run(step) for step in scenario.steps]
        differences = [one for results in (*prelude, *steps) for one in differing_results(results)]
        return CaseResult(
            (*differences, *pair.differences()),
            pair.allocations,
            sum(len(results.kernel.calls) for results in steps),
        )
