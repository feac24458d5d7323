# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of results: operations on folios end as their allocations explain, and new folios are optimized."""

from __future__ import annotations

import numpy as np

from hvolab.arch import EntryUpdateRule
from hvolab.hvo import VmemmapSizes
from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import EntryLost, FolioPrepared, FolioStep, PagesAllocated


def _self_hosted(machine: Machine, folio: int) -> bool:
    """Return whether the head's page of vmemmap is in the memory that it describes."""
    frame = machine.tables.frame_of(folio)
    return frame is not None and any(first <= frame < stop for first, stop in machine.self_hosted)


def _optimized(machine: Machine, folio: int) -> bool:
    pages = machine.struct_pages
    return bool(pages.optimized(np.array([pages.pfn(folio)]))[0])


def _has_one_page(machine: Machine, folio: int) -> bool:
    """Return whether the vmemmap of a folio is one page, of which nothing can be freed."""
    pages = machine.struct_pages
    order = pages.order(pages.pfn(folio))
    return not VmemmapSizes(order, machine.target.mode.page_size, pages.layout.size).optimizable


def _watch_results(machine: Machine, report: Report) -> Handlers:
    """An operation on a folio fails only for a reason, and its result agrees with the optimized flag.

    The reasons are an allocation that failed since the operation began, self-hosted vmemmap, a size of one page of
    vmemmap, and, where the kernel can lose the replacement of an entry, a lost one. It fails whenever an allocation
    fails, except that of a new head page in releases that do without one, and whenever it gives up on an entry. After
    an optimization the folio has the flag unless the result is negative, after a restore it has the flag if and only
    if the result is. A folio is not optimized while HVO is off, or if nothing of its vmemmap can be freed.
    """
    can_lose = machine.target.traits.entry_update is not EntryUpdateRule.STORE
    variant = machine.target.release.variant
    optional = None if variant.head_required else variant.head_gfp
    nor_lost, or_lost = (", and no entry was lost", ", or an entry was lost") if can_lose else ("", "")
    failed = needed = False

    def impossible(folio: int) -> bool:
        return _self_hosted(machine, folio) or _has_one_page(machine, folio)

    def allocated(event: PagesAllocated) -> None:
        nonlocal failed, needed
        failed |= event.failed
        needed |= event.failed and event.gfp != optional

    def lost(event: EntryLost) -> None:
        nonlocal failed, needed
        failed = True
        needed |= event.given_up

    def step(event: FolioStep) -> None:
        nonlocal failed, needed
        operation, _, when = event.step.partition(".")
        where = f"folio PFN {machine.struct_pages.pfn(event.folio):#x}"
        if when == "begin":
            failed = needed = False
            if operation == "optimize" and not machine.optimize_enabled:
                report("a folio is optimized while HVO is off", where)
            return
        ended = f"{operation} ended with result {event.result}"
        if event.result > 0 and not can_lose:
            report(f"{ended}, which is not a negative errno", where)
        elif event.result and not (failed or impossible(event.folio)):
            report(f"{ended}, but no allocation has failed{nor_lost}", where)
        elif needed and not event.result:
            report(f"{ended}, but an allocation that it needs has failed{or_lost}", where)
        flag = _optimized(machine, event.folio)
        if flag is not ((event.result < 0) is (operation == "restore")):
            report(f"{ended}, and the folio has {'the' if flag else 'no'} optimized flag", where)
        elif flag and operation == "optimize" and _has_one_page(machine, event.folio):
            report("a folio is optimized whose vmemmap is one page, of which nothing can be freed", where)

    return {PagesAllocated: allocated, EntryLost: lost, FolioStep: step}


RESULTS = Invariant(22, "results", history=_watch_results)


def _watch_prepared(machine: Machine, report: Report) -> Handlers:
    """A new folio is optimized when its pool adds it, if it can be.

    It cannot be while HVO is off, with one page of vmemmap or with struct pages whose size is not a power of two, with
    self-hosted vmemmap, and after its optimization has failed.
    """
    page_size, struct_page = machine.target.mode.page_size, machine.struct_pages.layout.size
    failed: set[int] = set()

    def step(event: FolioStep) -> None:
        if event.step == "optimize.end" and event.result < 0:
            failed.add(event.folio)

    def prepared(event: FolioPrepared) -> None:
        can_be = machine.optimize_enabled and VmemmapSizes(event.order, page_size, struct_page).optimizable
        can_be = can_be and event.folio not in failed and not _self_hosted(machine, event.folio)
        if can_be and not _optimized(machine, event.folio):
            where = f"folio PFN {machine.struct_pages.pfn(event.folio):#x}, order {event.order}"
            report("a pool adds a folio that could be optimized and is not", where)
        failed.discard(event.folio)

    return {FolioStep: step, FolioPrepared: prepared}


PREPARED = Invariant(23, "prepared", history=_watch_prepared)
