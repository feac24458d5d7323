# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios that call the engine by itself, with folios and lists that no pool passes to it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from hvolab.errors import KernelBug
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Monitor, check
from hvolab.machine import FrameAllocator, Machine, MachineSpec, build_machine
from hvolab.machine.frames.failure import FailCalls
from hvolab.machine.struct_pages import lists
from hvolab.plugin import registry
from hvolab.release.faults import LOST_HEADS
from hvolab.release.gfp import GFP_VMEMMAP_TAIL
from hvolab.release.releases import DEFAULT
from hvolab.trace import Event, PagesAllocated, PagesFreed, Warned
from tests.mutation.outcome import LOGGED, MIB, Outcome, state

_SMALL = MachineSpec(64 * MIB)


def _unoptimized(
    count: int, spec: MachineSpec = _SMALL, release: str | None = None, size: int = 0
) -> tuple[Machine, Hvo, Pool]:
    """Return a machine, its engine, and a pool with folios that were added while HVO was off; HVO is on.

    size  position of the folios' size among the hstates
    """
    target = registry().architecture("x86_64").select(release=release)
    machine = build_machine(target, replace(spec, optimize_enabled=False))
    hvo = Hvo(machine)
    pool = Pool(machine, hstates(machine)[size], hvo)
    pool.set_max_huge_pages(count)
    machine.optimize_enabled = True
    return machine, hvo, pool


def _direct() -> Outcome:
    """Call the engine by itself, twice, with folios that it must leave alone or warn of."""
    outcome = Outcome()
    machine, hvo, pool = _unoptimized(2)
    monitor = Monitor(machine)
    first, second = pool.free_folios()

    def log(event: Event) -> None:
        if isinstance(event, (*LOGGED, Warned)):
            outcome.add(str(event))

    with monitor.watch(), machine.trace.listen(log):
        outcome.add(hvo.restore_folio(pool.h, first), hvo.split_folio(pool.h, first), hvo.split_folio(pool.h, first))
        machine.flush_tlb_all()  # the caller of a split flushes
        for folio in (first, first, second):
            hvo.optimize_folio(pool.h, folio)
            outcome.add(hvo.folio_optimized(folio), hvo.split_folio(pool.h, folio))
        outcome.findings += [f"{one.rule}: {one.what}" for one in check(machine, [pool])]
        outcome.add(hvo.restore_folio(pool.h, first), hvo.restore_folio(pool.h, first))
        outcome.findings += [f"{one.rule}: {one.what}" for one in [*monitor.findings, *check(machine, [pool])]]
        outcome.add(state((pool,)))
        # a caller that does not know the contract: references, and no type of hugetlb
        pool.folio.set_refcount(first, 1)
        pool.folio.set_hugetlb(first, hugetlb=False)
        hvo.optimize_folio(pool.h, first)
        hvo.restore_folio(pool.h, first)
        # a folio with the flag of an optimized one, whose tails have pages of their own
        hvo.restore_folio(pool.h, second)
        pool.folio.set_private(second, 1 << pool.folio.layout.hpg_vmemmap_optimized)
        try:
            hvo.restore_folio(pool.h, second)
        except KernelBug as bug:
            outcome.add(str(bug), bug.va)
    sizes = hvo.sizes(pool.h)
    outcome.add(sizes, sizes.reserve, sizes.reserve_pages, sizes.size, sizes.optimizable_size, sizes.saved_pages)
    outcome.add(hvo.release is DEFAULT, Hvo(machine, machine.cpus[0], DEFAULT).release is DEFAULT)
    return outcome


def _lists() -> Outcome:
    """Optimize and restore lists without listeners, each with two folios in the middle that need nothing."""
    outcome = Outcome()
    machine, hvo, pool = _unoptimized(7)
    free_list, restored = pool.h.freelists[0], pool.new_list(0)
    middle = list(pool.free_folios())[3:5]
    for folio in middle:
        hvo.optimize_folio(pool.h, folio)
    for operation in ("optimize", "restore"):
        result = 5
        if operation == "restore":
            for folio in middle:
                hvo.restore_folio(pool.h, folio)
        before = machine.grace_periods
        if operation == "optimize":
            hvo.optimize_folios(pool.h, free_list)
        else:
            result = hvo.restore_folios(pool.h, free_list, restored)
            if list(pool.free_folios()):
                outcome.findings.append("batch_results: a restored folio stays on the list")
            lists.splice_init(hvo.cpu, restored, free_list)
        if machine.grace_periods != before + 1:
            outcome.findings.append(f"flushes: {machine.grace_periods - before} grace periods in one batch, 1 is right")
        if result != 5:
            outcome.findings.append(f"batch_results: a batch of 5 restores ended with result {result}")
        outcome.findings += [f"{one.rule}: {one.what}" for one in check(machine, [pool])]
        outcome.add(state((pool,)))
    machine.optimize_enabled = False
    hvo.optimize_folios(pool.h, free_list)
    if any(hvo.folio_optimized(folio) for folio in pool.free_folios()):
        outcome.findings.append("results: a folio is optimized while HVO is off")
    return outcome


def _rolled_back(release: str) -> Outcome:
    """Optimize a folio of 1 GiB whose third page table cannot be allocated; then all of it, unless its head is lost."""
    outcome = Outcome()
    gc.collect()  # the address space of a mutant's process is bounded
    machine, hvo, pool = _unoptimized(1, MachineSpec(9 << 28, deferred_struct_pages=True), release, size=-1)
    (folio,) = pool.free_folios()
    monitor = Monitor(machine)
    third_table = 4 if machine.target.release.variant.shares_tail_page else 3  # behind the shared page
    assert isinstance(machine.frames, FrameAllocator)
    with monitor.watch():
        for third in (third_table,) if LOST_HEADS in machine.target.release.faults else (third_table, 99):
            machine.frames.failure = FailCalls(frozenset({third}))
            hvo.optimize_folio(pool.h, folio)
            outcome.add(hvo.folio_optimized(folio), state((pool,)))
            found = [*monitor.findings, *check(machine, [pool])]
            outcome.findings += [f"{one.rule}: {one.what}" for one in found if not (one.fault or one.declared)]
        outcome.add(hvo.restore_folio(pool.h, folio), state((pool,)))
    found = [*monitor.findings, *check(machine, [pool])]
    outcome.findings += [f"{one.rule}: {one.what}" for one in found if not (one.fault or one.declared)]
    return outcome


def _raced(release: str) -> Outcome:
    """Optimize a folio while another CPU does the same one step ahead: its shared page of tails, and its split."""
    outcome = Outcome()
    machine, hvo, pool = _unoptimized(1, replace(_SMALL, cpus=2), release)
    other = Hvo(machine, machine.cpus[1])
    (folio,) = pool.free_folios()
    ahead: dict[int, Callable[[], object]] = {
        GFP_VMEMMAP_TAIL: lambda: other.remap.tail_page(folio, pool.h.order),
        machine.target.release.variant.table_gfp: lambda: other.split_folio(pool.h, folio),
    }

    def race(event: Event) -> None:
        if isinstance(event, PagesAllocated) and event.gfp in ahead:
            outcome.add(ahead.pop(event.gfp)())
        elif isinstance(event, PagesFreed):
            outcome.add(event.pfns.tolist(), event.order)

    monitor = Monitor(machine)
    with monitor.watch(), machine.trace.listen(race):
        hvo.optimize_folio(pool.h, folio)
        outcome.findings += [f"{one.rule}: {one.what}" for one in [*monitor.findings, *check(machine, [pool])]]
        outcome.add(state((pool,)), hvo.restore_folio(pool.h, folio))
    outcome.findings += [f"{one.rule}: {one.what}" for one in [*monitor.findings, *check(machine, [pool])]]
    return outcome


ENGINE_SCENARIOS: dict[str, Callable[[], Outcome]] = {
    "x86_64 6.12 engine by itself": _direct,
    "x86_64 6.12 lists, no listener": _lists,
    **{f"x86_64 {release} rolls back": partial(_rolled_back, release) for release in ("6.12", "6.12.117", "7.2")},
    **{f"x86_64 {release} another CPU is ahead": partial(_raced, release) for release in ("6.12", "7.2")},
}
