# SPDX-License-Identifier: GPL-2.0-only
"""Pools that do what was done when kernels' traces were recorded: each call of HVO is the kernel's, and ends as it.

A pool allocates the folios of a trace, calls HVO on the same folios in the same order with the same failing
allocations, and its calls, entries, counters and struct pages are the kernel's. Traces were recorded on struct pages
that each have other bytes. So a folio has these while HVO runs, and gets back afterwards what hugetlb had written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hvolab.hugetlb import Hstate, Pool
from hvolab.hvo import HasOrder
from hvolab.machine.struct_pages import lists
from tests.core.hvo.test_kernel_traces import DEBIANS, MAX_ORDER, TRACES, check, prepare, report, target_of
from tests.kernel_runs import Laboratory, load

_FUNCTION = "hugetlb_vmemmap_"
Run = dict[str, Any]


@dataclass
class TracedHvo:
    """HVO of a pool, whose calls have to be those of a trace.

    runs        runs of the trace that the next calls are; None: a call that prepares for a run
    departures  what differs from the kernel
    """

    lab: Laboratory
    meta: dict[str, Any]
    runs: list[Run | None]
    departures: list[str] = field(default_factory=list)
    _recorded: dict[int, dict[int, int]] = field(default_factory=dict)

    def optimize_folio(self, h: HasOrder, folio: int) -> None:  # noqa: ARG002 - a VmemmapOptimizer's
        self._one("optimize_folio", folio)

    def restore_folio(self, h: HasOrder, folio: int) -> int:  # noqa: ARG002
        return self._one("restore_folio", folio)

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:  # noqa: ARG002
        self._list("optimize_folios", folio_list)

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:  # noqa: ARG002
        return self._list("restore_folios", folio_list, non_hvo_folios)

    def _one(self, name: str, folio: int) -> int:
        own = self._enter(folio)
        result = self._call(name, [folio])
        self._leave(folio, own)
        return result

    def _list(self, name: str, head: int, other: int | None = None) -> int:
        lab, lru = self.lab, self.lab.layout.lru_next
        pages = lab.machine.struct_pages
        folios = [node - lru for node in lists.nodes(lab.cpu, head)]
        if not folios:
            return 0
        own = {folio: self._enter(folio) for folio in folios}
        lab.link([pages.pfn(folio) for folio in folios])
        result = self._call(name, folios)
        left = {head: lab.list_of(lab.list_va)} | ({} if other is None else {other: lab.list_of(lab.other_list_va)})
        for folio in folios:
            self._leave(folio, own[folio])
        for target, pfns in left.items():
            lists.init(lab.cpu, target)
            for pfn in pfns:
                lists.add_tail(lab.cpu, pages.va(int(pfn, 16)) + lru, target)
        return result

    def _call(self, name: str, folios: list[int]) -> int:
        """Carry out a call; compare it with the run that it is."""
        lab, function = self.lab, f"{_FUNCTION}{name}"
        pfns = [lab.machine.struct_pages.pfn(folio) for folio in folios]
        run = self.runs.pop(0) if self.runs else None
        if run is None:
            return lab.carry_out(function, pfns)
        assert (function, [hex(pfn) for pfn in pfns]) == (run["fn"], run["folios"]), run["scenario"]
        self.departures += check(lab, run)
        kernel: int = run["ret"] & 0xFFFFFFFF
        return kernel - (1 << 32) if kernel >> 31 else kernel

    def _words(self, folio: int) -> dict[int, int]:
        """Return the words of the head's page that hugetlb writes, by offset."""
        layout, byte_order = self.lab.layout, self.lab.target.architecture.byte_order
        fields = (layout.hugetlb_mark, *layout.hugetlb_zeroed)
        places = [field.place(layout.size, byte_order).offset for field in fields]
        offsets = (layout.lru_next, layout.lru_prev, layout.private, layout.page_type, *places)
        return {offset: self.lab.cpu.load_word(folio + offset) for offset in offsets}

    def _store(self, folio: int, words: dict[int, int]) -> None:
        for offset, word in words.items():
            self.lab.cpu.store_word(folio + offset, word)

    def _enter(self, folio: int) -> dict[int, int]:
        """Give a folio the struct pages that it had in the trace; return the words of hugetlb."""
        own, layout = self._words(folio), self.lab.layout
        if folio in self._recorded:
            self._store(folio, self._recorded[folio])
            self._store(folio, dict.fromkeys((layout.lru_next, layout.lru_prev), folio + layout.lru_next))
        else:
            self.lab.fill(self.lab.machine.struct_pages.pfn(folio), self.meta)
        return own

    def _leave(self, folio: int, own: dict[int, int]) -> None:
        """Store the words of hugetlb again, with the flag of HVO."""
        layout, now = self.lab.layout, self._words(folio)
        flag = 1 << layout.hpg_vmemmap_optimized
        self._recorded[folio] = now
        self._store(folio, own | {layout.private: own[layout.private] & ~flag | now[layout.private] & flag})


def pool_of(name: str, meta: dict[str, Any], run: Run, runs: list[Run | None]) -> tuple[Pool, TracedHvo]:
    """Return an empty pool in the laboratory of a run, which allocates the folios of that run."""
    target = target_of(name)
    before = {**run, "scenario": run["scenario"].replace("/restore", "/optimize")}
    lab = prepare(target, meta, before)
    hvo = TracedHvo(lab, meta, runs)
    freelist = lab.machine.kernel_data(lists.SIZE)
    lists.init(lab.cpu, freelist)
    order = run["order"]
    h = Hstate(target.mode.huge_pages[0], order, order > MAX_ORDER, (freelist,))
    h.nr_node, h.free_node, h.surplus_node = [0], [0], [0]
    # the last that is allocated is the first of the list that is optimized, and of the list that is restored
    lab.pool.folios = [int(pfn, 16) for pfn in run["folios"]]
    return Pool(lab.machine, h, hvo, lab.cpu), hvo


def drive(pool: Pool, run: Run, *, dissolve: bool) -> None:
    """Make a pool do the run, after what prepares for it."""
    count, lists_of_folios = len(run["folios"]), run["fn"].endswith("_folios")
    if lists_of_folios or not pool.variant.batches:
        pool.set_max_huge_pages(count)
        if "restore" in run["fn"] and dissolve:
            pool.dissolve(next(pool.free_folios()))
        elif "restore" in run["fn"]:
            pool.set_max_huge_pages(0)
        return
    # one folio by itself, where pools grow in lists; in v6.12 surplus is not gigantic, and traces have such folios too
    pool.variant = replace(pool.variant, overcommits_gigantic=True)
    folio = pool.alloc_surplus()
    assert folio is not None
    if "restore" in run["fn"] and dissolve:
        pool.set_max_huge_pages(1)
        pool.put(folio)
        pool.dissolve(folio)
    elif "restore" in run["fn"]:
        pool.put(folio)


def runs_of(trace: dict[str, Any]) -> Iterator[tuple[Run, Run | None]]:
    """Yield the runs that a pool can do, each with the run that tries again after it."""
    scenarios = trace["scenarios"]
    for run, following in zip(scenarios, [*scenarios[1:], None], strict=True):
        step = run["scenario"].partition("/")[2]
        if run["scenario"].startswith("batch0") or step not in {
            *("", "optimize", "restore", "optimize_folios", "restore_folios"),
        }:
            continue  # on no folio; on folios of which some were not optimized; again
        again = following if following and following["scenario"].endswith("/restore-retry") else None
        yield run, again


def departures_of(name: str, every: int = 1, *, every_gigantic: int = 1) -> list[str]:
    """Return where pools depart from a kernel in its runs, or in one of so many.

    every_gigantic  as `every`, for gigantic folios: thousands of pages each; runs in which nothing fails are all made
    """
    trace = load(name)
    departures: list[str] = []
    for number, (run, again) in enumerate(runs_of(trace)):
        gigantic = run["order"] > MAX_ORDER and run["fail"]
        if number % (every * every_gigantic if gigantic else every) == 0:
            runs: list[Run | None] = [None, run] if "restore" in run["fn"] else [run]
            pool, hvo = pool_of(name, trace["meta"], run, runs)
            drive(pool, run, dissolve=number % 2 == 0 and not run["fn"].endswith("_folios"))
            if again is not None:
                hvo.runs = [again]
                pool.dissolve(next(pool.free_folios()))
            departures += hvo.departures + state_of(pool, hvo, run, tried_again=again is not None)
    return departures


def state_of(pool: Pool, hvo: TracedHvo, run: Run, *, tried_again: bool) -> list[str]:
    """Return where the state of a pool does not follow from what the kernel did."""
    where = f"{run['scenario']} fail={run['fail'][:3]}"
    found = [f"{where}: {len(hvo.runs)} runs were not done"] if hvo.runs else []
    optimized = [int(pfn, 16) for pfn, final in run["final"].items() if final["private"]]
    pages, bit = hvo.lab.machine.struct_pages, hvo.lab.layout.hpg_vmemmap_optimized
    if "restore" not in run["fn"]:
        seen = [pages.pfn(folio) for folio in pool.live if pool.folio.flag(folio, bit)]
        left = (len(run["folios"]), sorted(optimized))
        entries = {pfn: hvo.lab.final(int(pfn, 16))["runs"] for pfn in run["final"]}
        if entries != {pfn: final["runs"] for pfn, final in run["final"].items()}:
            found.append(f"{where}: entries {entries}")
    else:
        seen = [pages.pfn(folio) for folio in pool.live]
        # a list is tried again, folio by folio, and then nothing fails
        kept = [] if tried_again or run["fn"].endswith("_folios") else optimized
        left = (len(kept), sorted(kept))
    if (pool.h.nr, sorted(seen)) != left:
        found.append(f"{where}: the pool has {pool.h.nr} folios, {sorted(seen)}, and not {left}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TRACES, *DEBIANS])
def test_pools_do_some_of_what_kernels_did(name: str) -> None:
    departures = departures_of(name, every=89)
    assert not departures, report(departures)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TRACES, *DEBIANS])
def test_pools_do_more_of_what_kernels_did(name: str) -> None:
    departures = departures_of(name, every=4, every_gigantic=3)
    assert not departures, report(departures)


@pytest.mark.long
@pytest.mark.parametrize("name", [*TRACES, *DEBIANS])
def test_pools_do_what_kernels_did(name: str) -> None:
    departures = departures_of(name)
    assert not departures, report(departures)


def test_a_pool_that_calls_hvo_otherwise_is_found() -> None:
    name = "x86_64-6.12"
    trace = load(name)
    run = next(run for run, _ in runs_of(trace) if run["scenario"] == "batch3-1pmd/optimize_folios")
    pool, hvo = pool_of(name, trace["meta"], run, [run])
    hvo.lab.pool.folios.reverse()
    with pytest.raises(AssertionError, match="batch3-1pmd"):
        pool.set_max_huge_pages(3)
    pool, hvo = pool_of(name, trace["meta"], run, [{**run, "fail": [1]}])
    pool.set_max_huge_pages(3)
    assert hvo.departures
