# SPDX-License-Identifier: GPL-2.0-only
"""Behavior on a machine: stores to tails, flushes, live entries, and pools while allocations fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hvolab.arch import Access, FaultKind, PageFault, Target
from hvolab.conformance.capabilities import EFFECTIVE_FLUSH, LIVE_REPLACEMENT, READ_ONLY_TAILS, SAVINGS, SOUND, SPANNING
from hvolab.conformance.check import Checks, require
from hvolab.conformance.checks.machines import PooledMachine, memory_for
from hvolab.conformance.queries import optimizable_sizes, spanning_sizes
from hvolab.conformance.subject import Scope, Subject
from hvolab.invariants import Finding, Monitor, check
from hvolab.invariants.rules.entries import LIVE_ENTRIES
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab.scenario import ScenarioSpec, run_scenario

checks = Checks()
_ALL_ONES = (1 << 64) - 1


@checks.add(Scope.FORMAT, SOUND)
def hstates_are_the_huge_page_sizes(subject: Subject) -> None:
    """A machine has one hstate for each huge page size, of the order of its pages."""
    mode = subject.target.mode
    found = [(pool.h.size, pool.h.order) for pool in PooledMachine(subject.target, {}).pools]
    expected = [(huge.size, (huge.size >> mode.page_shift).bit_length() - 1) for huge in mode.huge_pages]
    require(found == expected, f"the hstates are {found}, the sizes and orders are {expected}")


@checks.add(Scope.TARGET, SOUND, EFFECTIVE_FLUSH)
def flush_tlb_all_forgets_everything(subject: Subject) -> None:
    """After flush_tlb_all() no CPU has a translation that it had before: batches free frames right after it."""
    machine = PooledMachine(subject.target, {}).machine
    cpu, first_pfn = machine.cpus[0], machine.memory.first_pfn
    first = machine.struct_pages.va(first_pfn)
    for va in (first, first + machine.target.mode.page_size, machine.page_to_virt(first_pfn)):
        cpu.load_word(va)
    held = cpu.cached_translations()
    require(held is None or held.size, "the CPU caches no translation at all")
    machine.flush_tlb_all()
    held = cpu.cached_translations()
    stale = "" if held is None else ", ".join(f"VA {int(va):#x}" for va in held[:, 0])
    require(
        not stale,
        f"flush_tlb_all() leaves {stale} in the TLB",
        hint="flush ranges, or do without HVO: without an effective flush_tlb_all() no batch of HVO is safe",
    )


@checks.add(Scope.TARGET, SOUND, SAVINGS, READ_ONLY_TAILS, EFFECTIVE_FLUSH)
def a_store_to_a_tail_faults(subject: Subject) -> None:
    """A store, and a compare-and-swap that succeeds, to a tail of an optimized folio fault with a permission fault."""
    size = optimizable_sizes(subject.target)[0]
    pooled = PooledMachine(subject.target, {size: 1})
    pooled.pool(size).set_max_huge_pages(1)
    (folio,) = pooled.pool(size).live
    require(pooled.hvo.folio_optimized(folio), "a folio could not be optimized")
    cpu = pooled.machine.cpus[0]
    tail = folio + subject.target.mode.page_size
    before = cpu.load_word(tail)
    for name, store in (
        ("a store", lambda: cpu.store_word(tail, before ^ _ALL_ONES)),
        ("a compare-and-swap", lambda: cpu.compare_and_swap(tail, before, before ^ _ALL_ONES)),
    ):
        _faults(f"{name} to a tail at VA {tail:#x}", store)
    cpu.store_word(folio, cpu.load_word(folio))  # the head stays writable


def _faults(what: str, store: Callable[[], object]) -> None:
    """Require that `store` faults for want of permission, and that a register reports it."""
    try:
        store()
    except PageFault as fault:
        record = fault.fault
        permission = record.kind is FaultKind.PERMISSION and record.access & Access.WRITE
        require(permission, f"{what} ends with another fault: {record}")
        require(record.syndrome, f"{what} faults, and no register reports it", where="MmuRules.syndrome")
        return
    require(holds=False, what=f"{what} does not fault")


@checks.add(Scope.TARGET, SOUND, SAVINGS, LIVE_REPLACEMENT)
def live_entries_are_replaced_as_the_rule_allows(subject: Subject) -> None:
    """While folios are optimized and restored, no valid entry is replaced against the architecture's rule."""
    size = optimizable_sizes(subject.target)[0]
    pooled = PooledMachine(subject.target, {size: 2})
    monitor = Monitor(pooled.machine)
    with monitor.watch():
        pooled.pool(size).set_max_huge_pages(2)
        pooled.pool(size).set_max_huge_pages(0)
    wrong = [finding for finding in monitor.findings if finding.invariant is LIVE_ENTRIES]
    what = f"{len(wrong)} replacements of live entries, the first: {wrong[0] if wrong else ''}"
    require(not wrong, what, hint="declare another Traits.entry_update, or that live entries may be replaced")


Policy = Callable[[int], FailurePolicy]
_FOLIOS = 2
#: More allocation calls than growing a pool of a few folios can take.
_ENDLESS = 1000


def _once(number: int) -> FailurePolicy:
    return FailCalls(frozenset({number}))


_POLICIES: tuple[Policy, ...] = (_once, FailFrom)


def _holds(findings: Iterable[Finding], when: str) -> None:
    """Fail with the first finding that the description does not declare."""
    wrong = next((finding for finding in findings if not finding.declared), None)
    require(wrong is None, f"{when}: {wrong}")


@checks.add(Scope.DISTINCT, SOUND, SAVINGS, EFFECTIVE_FLUSH)
def hvo_holds_from_boot_to_restore(subject: Subject) -> None:
    """Pools of every size are filled, optimized, stored to and drained: all invariants hold, and savings are right.

    Sizes above the smallest are tried once for each mode: another selection changes bits, which all sizes share.
    """
    target = subject.target
    smallest, *larger = optimizable_sizes(target)
    for size in (smallest, *(() if subject.choice else larger)):
        requested = {size: _FOLIOS if size == smallest else 1}
        result = run_scenario(ScenarioSpec(target, memory_for(target, requested), hugepages=requested))
        _holds(result.findings, f"with pages of {size:#x} bytes")
        (pool,), (left,) = result.pools, result.left
        require(
            (pool.pages, pool.optimized, left) == (pool.requested, pool.requested, 0),
            f"of {pool.requested} pages of {size:#x} bytes {pool.pages} were allocated, {pool.optimized} optimized, "
            f"and {left} left at the end",
        )
        expected = pool.requested * pool.sizes.saved_pages
        require(result.frames_saved == expected, f"{result.frames_saved} frames were saved, not {expected}")
        if counted := [stage.counters.total for stage in result.stages if stage.counters is not None]:
            boot, optimized, restored = counted
            require(restored - optimized == expected, f"{restored - optimized} frames were counted, not {expected}")
            require(boot == restored, "the vmemmap differs from that at boot")


@checks.add(Scope.DISTINCT, SOUND, SAVINGS, EFFECTIVE_FLUSH)
def hvo_holds_under_every_allocation_failure(subject: Subject) -> None:
    """All invariants hold while a pool of the smallest size grows and shrinks and any allocation fails.

    It fails once, or it and all after it fail. Each failure is followed by another try, which must succeed.
    """
    size = optimizable_sizes(subject.target)[0]
    for policy in _POLICIES:
        _fail_each(subject.target, size, _FOLIOS, policy)
        _fail_each(subject.target, size, _FOLIOS, policy, drain=True)


@checks.add(Scope.MODE, SOUND, SPANNING, EFFECTIVE_FLUSH)
def hvo_rolls_back_where_a_folio_spans_tables(subject: Subject) -> None:
    """All invariants hold, and a retry succeeds, if any allocation fails while a larger page is optimized."""
    _fail_each(subject.target, spanning_sizes(subject.target)[0], 1, _once)


def _fail_each(target: Target, size: int, folios: int, policy: Policy, *, drain: bool = False) -> None:
    """Fail each allocation call of growing a pool in turn, on a new machine each, or of draining one; then retry."""
    action, wanted = ("draining", 0) if drain else ("growing", folios)
    for number in range(1, _ENDLESS):
        if number == 1 or not drain:
            pooled = PooledMachine(target, {size: folios})
        pool, failing = pooled.pool(size), policy(number)
        if drain:
            pool.set_max_huge_pages(folios)
            optimized = sum(map(pooled.hvo.folio_optimized, pool.live))
            require(optimized == folios, f"{optimized} of {folios} folios were optimized")
        pooled.frames.failure = failing
        monitor = Monitor(pooled.machine)
        when = f"allocation {number} of {action} a pool of {size:#x} bytes failed ({policy.__name__.strip('_')})"
        with monitor.watch():
            pool.set_max_huge_pages(wanted)
            _holds([*check(pooled.machine, pooled.pools), *monitor.findings], when)
            if failing.calls < number:
                return
            pooled.frames.failure = NeverFail()
            if drain:  # a failed restore leaves a surplus folio: as an administrator does, make it persistent first
                pool.set_max_huge_pages(pool.h.nr)
            pool.set_max_huge_pages(wanted)
        _holds([*check(pooled.machine, pooled.pools), *monitor.findings], f"{when}, and was tried again")
        require(pool.h.nr == wanted, f"{when}: the pool has {pool.h.nr} folios after another try")
    require(holds=False, what=f"{action} a pool does not end")
