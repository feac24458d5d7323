"""Behaviour on a machine: stores to tails, flushes, and live entries, as the description declares them."""

from __future__ import annotations

from hvolab.arch import Access, FaultKind, PageFault
from hvolab.conformance.capabilities import EFFECTIVE_FLUSH, LIVE_REPLACEMENT, READ_ONLY_TAILS, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.subject import Scope, Subject
from hvolab.conformance.worlds import World, optimizable_sizes
from hvolab.invariants import Monitor, Rule

checks = Checks()
_ALL_ONES = (1 << 64) - 1


def _optimised(subject: Subject) -> tuple[World, int] | None:
    """A machine with one optimised folio of the smallest size that can be; ``None`` where none can."""
    sizes = optimizable_sizes(subject.target)
    if not sizes:
        return None
    world = World(subject.target, {sizes[0]: 1})
    world.pool(sizes[0]).set_max_huge_pages(1)
    folio = next(iter(world.pool(sizes[0]).live), None)
    require(folio is not None and world.hvo.folio_optimized(folio), "a folio could not be optimised", where=subject)
    return world, folio or 0


@checks.add(Scope.TARGET, SOUND, READ_ONLY_TAILS, EFFECTIVE_FLUSH)
def a_store_to_a_tail_faults(subject: Subject) -> None:
    """A store, and a compare-and-swap that succeeds, to a tail of an optimised folio fault with a permission fault."""
    made = _optimised(subject)
    if made is None:
        return
    world, folio = made
    cpu, page = world.machine.cpus[0], subject.target.mode.page_size
    tail = folio + page
    before = cpu.load_word(tail)
    for word, store in (
        ("a store", lambda: cpu.store_word(tail, before ^ _ALL_ONES)),
        ("a compare-and-swap", lambda: cpu.compare_and_swap(tail, before, before ^ _ALL_ONES)),
    ):
        fault = _fault_of(store)
        require(fault is not None, f"{word} to a tail at VA {tail:#x} lands", where=subject)
        if fault is None:
            return
        require(
            fault.fault.kind is FaultKind.PERMISSION and fault.fault.access & Access.WRITE,
            f"{word} to a tail ends with another fault: {fault.fault}",
            where=subject,
        )
        require(fault.fault.syndrome, "a permission fault is reported in no register", where="MmuRules.syndrome")
    require(cpu.load_word(folio) is not None, "the head cannot be read", where=subject)
    cpu.store_word(folio, cpu.load_word(folio))  # the head stays writable


def _fault_of(store: object) -> PageFault | None:
    try:
        store()  # type: ignore[operator]
    except PageFault as fault:
        return fault
    return None


@checks.add(Scope.TARGET, SOUND, EFFECTIVE_FLUSH)
def flush_tlb_all_forgets_everything(subject: Subject) -> None:
    """After flush_tlb_all() no CPU has a translation that it had before: batches free frames right after it."""
    world = World(subject.target, {})
    machine = world.machine
    pages = machine.struct_pages
    cpu = machine.cpus[0]
    first = pages.va(machine.memory.first_pfn)
    vas = [first, first + machine.target.mode.page_size, machine.page_to_virt(machine.memory.first_pfn)]
    for va in vas:
        cpu.load_word(va)
    held = cpu.cached_translations()
    require(held is None or held.size, "the CPU keeps no translation at all", where=subject)
    machine.flush_tlb_all()
    held = cpu.cached_translations()
    stale = "" if held is None else ", ".join(f"VA {int(va):#x}" for va in held[:, 0])
    require(
        not stale,
        f"flush_tlb_all() leaves {stale} in the TLB",
        where=subject,
        remedy="where the kernel's really flushes nothing, no batch of HVO is safe: flush ranges, or do without HVO",
    )


@checks.add(Scope.TARGET, SOUND, LIVE_REPLACEMENT)
def live_entries_are_replaced_as_the_rule_allows(subject: Subject) -> None:
    """While folios are optimised and restored, no valid entry is replaced against the architecture's rule."""
    sizes = optimizable_sizes(subject.target)
    if not sizes:
        return
    world = World(subject.target, {sizes[0]: 2})
    monitor = Monitor(world.machine)
    with monitor.watch():
        world.pool(sizes[0]).set_max_huge_pages(2)
        world.pool(sizes[0]).set_max_huge_pages(0)
    wrong = [finding for finding in monitor.findings if finding.rule is Rule.LIVE_ENTRIES]
    require(
        not wrong,
        f"{len(wrong)} replacements of live entries, the first: {wrong[0] if wrong else ''}",
        where=subject,
        remedy="declare another Traits.entry_update, or that live entries may be replaced",
    )
