# SPDX-License-Identifier: GPL-2.0-only
"""Comparison spread over processes, by an executor of `concurrent.futures`: the result is that of one process.

A process begins a scenario with the case without failures, which has the number of allocations that can fail, and
continues for about a second. The other cases follow in chunks of about a second, none of which divides the cases that
begin with the same failing allocation: one that was run decides whether a later one is a duplicate. Results are added
in the order of the cases, in whichever process they were run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from itertools import groupby
from typing import Any, Final, Generic, TypeVar

from hvolab_kernel.comparison.comparer import (
    CaseResult,
    CaseRunner,
    ComparisonCase,
    KernelComparison,
    NamedScenario,
    OnProgress,
    cases_of,
    interrupted,
    run_cases,
)

#: Scenarios for each process below which its start takes longer than it saves.
SCENARIOS_EACH: Final = 16
#: Seconds of a chunk: few enough that all processes end together, many enough that sending it is little.
_SECONDS: Final = 1.0

_Compared = TypeVar("_Compared", bound=NamedScenario)
_Results = list[CaseResult | None]


#: Maker of a comparer, which is sent to the processes. Equal makers make comparers that give equal results.
ComparerMaker = Callable[[], CaseRunner[Any]]


class _Worker:
    """The comparer of a worker process, kept from one chunk to the next."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # a Dask worker may run two tasks at a time
        self._maker: ComparerMaker | None = None
        self._comparer: CaseRunner[Any] | None = None

    def comparer(self, maker: ComparerMaker) -> CaseRunner[Any]:
        """Return the comparer of a maker."""
        if self._comparer is None or maker != self._maker:
            self._maker, self._comparer = maker, maker()
        return self._comparer

    def begin(self, maker: ComparerMaker, scenario: Any, *, every: bool) -> tuple[_Results, float]:
        """Run the first cases of a scenario; return their results, and the seconds of a case."""
        with self.lock:
            comparer, base = self.comparer(maker), ComparisonCase(scenario)
            results = [result for _, result in run_cases(comparer, [base])]
            begun = time.perf_counter()
            run = 1
            for group in _groups(scenario, results[0], every=every):
                results += [result for _, result in run_cases(comparer, group)]
                run += len(group)
                if time.perf_counter() - begun > _SECONDS:
                    break
            return results, (time.perf_counter() - begun) / run

    def run(self, maker: ComparerMaker, cases: Sequence[ComparisonCase[Any]]) -> _Results:
        """Run the cases of a chunk."""
        with self.lock:
            return [result for _, result in run_cases(self.comparer(maker), cases)]


_WORKER: Final = _Worker()


def _begin(maker: ComparerMaker, scenario: Any, every: bool) -> tuple[_Results, float]:  # noqa: FBT001 - sent
    return _WORKER.begin(maker, scenario, every=every)


def _run(maker: ComparerMaker, cases: Sequence[ComparisonCase[Any]]) -> tuple[_Results, float]:
    return _WORKER.run(maker, cases), 0.0


def _groups(scenario: _Compared, base: CaseResult | None, *, every: bool) -> Iterator[list[ComparisonCase[_Compared]]]:
    """Yield the cases in which allocations fail, those together that begin with the same one."""
    allocations = 0 if base is None else base.allocations
    cases = sorted(cases_of(scenario, allocations, every=every), key=lambda case: case.failing[0])
    for _, group in groupby(cases, lambda case: case.failing[0]):
        yield list(group)


class _Sweep(Generic[_Compared]):
    """Cases of one scenario, and the results that have arrived.

    scenario  the scenario
    results   results, by case
    """

    def __init__(self, scenario: _Compared, *, every: bool) -> None:
        self.scenario = scenario
        self.results: dict[ComparisonCase[_Compared], CaseResult | None] = {}
        self._every = every

    def cases(self) -> list[ComparisonCase[_Compared]]:
        """Return all cases, in the order of one process; none before the first result."""
        base = ComparisonCase(self.scenario)
        first = self.results.get(base)
        return [] if first is None else [base, *cases_of(self.scenario, first.allocations, every=self._every)]

    def begun(self, results: _Results, seconds: float) -> Iterator[list[ComparisonCase[_Compared]]]:
        """Take the first results, at so many seconds a case; yield the other cases in chunks."""
        groups = _groups(self.scenario, results[0], every=self._every)
        cases = [ComparisonCase(self.scenario)]
        while len(cases) < len(results):
            cases += next(groups)
        self.results.update(zip(cases, results, strict=True))
        chunk: list[ComparisonCase[_Compared]] = []
        for group in groups:
            chunk += group
            if len(chunk) * seconds > _SECONDS:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def sweep(
    comparer: CaseRunner[_Compared],
    maker: ComparerMaker,
    scenarios: Sequence[_Compared],
    executor: Executor,
    *,
    every: bool = False,
    on_progress: OnProgress = lambda *_: None,
) -> KernelComparison[_Compared]:
    """Compare in every scenario, as `compare` does, in the processes of an executor.

    maker  makes the comparer of each process

    Raises KeyboardInterrupt with the number of cases compared until then; running chunks are not waited for.
    """
    begin = time.perf_counter()
    sweeps = [_Sweep(scenario, every=every) for scenario in scenarios]
    pending: dict[Future[tuple[_Results, float]], tuple[_Sweep[_Compared], list[ComparisonCase[_Compared]]]] = {}
    try:
        for one in reversed(sweeps):  # the largest folios, which take longest, are last
            pending[executor.submit(_begin, maker, one.scenario, every)] = one, []
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                one, cases = pending.pop(future)
                results, seconds = future.result()
                if cases:
                    one.results.update(zip(cases, results, strict=True))
                    continue
                for chunk in one.begun(results, seconds):
                    pending[executor.submit(_run, maker, chunk)] = one, chunk
            on_progress(sum(bool(one.results) for one in sweeps), *_counts(sweeps, pending.values()))
    except KeyboardInterrupt as interrupt:
        for future in pending:
            future.cancel()
        raise interrupted(_collected(comparer, sweeps), len(scenarios)) from interrupt
    comparison = _collected(comparer, sweeps)
    comparison.seconds = time.perf_counter() - begin
    return comparison


def _counts(
    sweeps: Iterable[_Sweep[_Compared]],
    pending: Iterable[tuple[_Sweep[_Compared], list[ComparisonCase[_Compared]]]],
) -> tuple[int, int]:
    """Return the number of cases that are known, and of those that are done."""
    done = sum(len(one.results) for one in sweeps)
    return done + sum(len(cases) for _, cases in pending), done


def _collected(comparer: CaseRunner[_Compared], sweeps: Sequence[_Sweep[_Compared]]) -> KernelComparison[_Compared]:
    """Add the results in the order of one process."""
    comparison = KernelComparison[_Compared].of(comparer)
    for one in sweeps:
        for case in one.cases():
            if case in one.results:
                comparison.add(case, one.results[case])
    return comparison
