"""Behavior on a machine: stores to tails, flushes, and live entries, as the description declares them."""

from __future__ import annotations

from collections.abc import Callable

from hvolab.arch import Access, FaultKind, PageFault
from hvolab.conformance.capabilities import EFFECTIVE_FLUSH, LIVE_REPLACEMENT, READ_ONLY_TAILS, SAVINGS, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.checks.machines import PooledMachine
from hvolab.conformance.queries import optimizable_sizes
from hvolab.conformance.subject import Scope, Subject
from hvolab.invariants import Monitor
from hvolab.invariants.rules.entries import LIVE_ENTRIES

checks = Checks()
_ALL_ONES = (1 << 64) - 1


@checks.add(Scope.FORMAT, SOUND)
def hstates_are_the_huge_page_sizes(subject: Subject) -> None:
    """A machine has one hstate for each huge page size, of the order of its pages."""
    mode = subject.target.mode
    found = [(pool.h.size, pool.h.order) for pool in PooledMachine(subject.target, {}).pools]
    expected = [(huge.size, (huge.size >> mode.page_shift).bit_length() - 1) for huge in mode.huge_pages]
    require(found == expected, f"the hstates are {found}, the sizes and orders are {expected}")


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
    require(
        not wrong,
        f"{len(wrong)} replacements of live entries, the first: {wrong[0] if wrong else ''}",
        hint="declare another Traits.entry_update, or that live entries may be replaced",
    )
