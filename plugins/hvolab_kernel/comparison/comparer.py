# SPDX-License-Identifier: GPL-2.0-only
"""Comparer that runs scenarios on both machines, with each allocation failing in turn, and collects differences."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from hvolab.arch import Target
from hvolab.errors import KernelBug
from hvolab.invariants import Finding
from hvolab.machine import VmemmapBacking
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab_kernel.comparison.broken_rules import BrokenRule
from hvolab_kernel.comparison.differences import (
    StateDifference,
    differing_counters,
    differing_memory,
    differing_results,
)
from hvolab_kernel.comparison.judgment import CaseEvidence, KernelFindings, KernelJudge
from hvolab_kernel.comparison.machine_pair import MachinePair
from hvolab_kernel.comparison.scenarios import Scenario, ScenarioData
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running.call_result import UNREADABLE
from hvolab_vmlinux.kernel import Kernel

#: Errors of reading what code has left.
UNREADABLE_STATE: Final = (*UNREADABLE, KernelBug)
#: What no comparison covers.
OMITTED: Final = "page->lru of vmemmap pages that were allocated, freed or remapped"
#: Below this number of pairs of allocations, every pair fails in turn.
_PAIRS: Final = 2000
#: Above this number of allocations, only a few fail unless every one is requested.
_MANY: Final = 64


class NamedScenario(Protocol):
    """A scenario of a comparison: steps that are compared after a prelude."""

    @property
    def name(self) -> str:
        """Name for readers, of one scenario only."""

    @property
    def prelude(self) -> Sequence[object]:
        """Steps that lead to the initial state."""

    @property
    def steps(self) -> Sequence[object]:
        """Steps that are compared."""

    @property
    def gigantic(self) -> bool:
        """True if its folios need a large machine, and its cases long."""

    def data(self) -> ScenarioData:
        """Return the scenario for JSON."""


_Compared = TypeVar("_Compared", bound=NamedScenario)


class OnProgress(Protocol):
    """Takes the progress of a comparison."""

    def __call__(self, scenarios: int, cases: int, done: int) -> None:
        """Take the number of scenarios that have begun, of their cases, and of those that are done."""


class CaseRunner(Protocol[_Compared]):
    """Runs the cases of a comparison on both machines.

    target   the target of the machines
    kernel   the kernel
    omitted  what is not compared
    against  the reference, in words; empty: there is none
    """

    target: Target
    kernel: Kernel
    omitted: tuple[str, ...]

    @property
    def against(self) -> str:
        """The reference, in words; empty: there is none."""

    def run(self, case: ComparisonCase[_Compared]) -> CaseResult:
        """Run a case."""


@dataclass(frozen=True)
class ComparisonCase(Generic[_Compared]):
    """A scenario with failing allocations.

    failing  their numbers, 1 being the first in the steps that are compared
    onwards  True if every later one fails too
    """

    scenario: _Compared
    failing: tuple[int, ...] = ()
    onwards: bool = False

    @property
    def second(self) -> int:
        """Number of the second allocation that fails; 0: only one fails."""
        return self.failing[0] + 1 if self.onwards else (*self.failing, 0, 0)[1]

    def policy(self) -> FailurePolicy:
        """Return the policy that makes them fail."""
        if not self.failing:
            return NeverFail()
        return FailFrom(self.failing[0]) if self.onwards else FailCalls(frozenset(self.failing))

    def __str__(self) -> str:
        if not self.failing:
            return self.scenario.name
        more = " and all later ones" if self.onwards else ""
        return f"{self.scenario.name}; allocation {', '.join(map(str, self.failing))}{more} fails"


class CaseResult(NamedTuple):
    """Result of a case: differences, allocation calls, the kernel's outside calls, and evidence of broken rules.

    broken  rules that it breaks, where the kernel is checked by all rules
    """

    differences: tuple[StateDifference, ...]
    allocations: int
    calls: int
    evidence: CaseEvidence = CaseEvidence()
    broken: tuple[BrokenRule, ...] = ()


@dataclass
class KernelComparison(Generic[_Compared]):
    """Result of a comparison.

    rules          what rules find on the kernel's machine
    cases, calls   cases run, and outside calls in them
    pairs          cases in which two allocations fail
    duplicates     cases skipped: their second failing allocation is never reached, so they equal the single failure
    seconds        duration of the cases
    disagreements  the differences of each case that has some
    per_scenario   cases of each scenario, by name
    broken         the rules that each case breaks, known ones included
    """

    rules: KernelFindings
    cases: int = 0
    calls: int = 0
    pairs: int = 0
    duplicates: int = 0
    seconds: float = 0.0
    disagreements: dict[ComparisonCase[_Compared], tuple[StateDifference, ...]] = field(default_factory=dict)
    per_scenario: Counter[str] = field(default_factory=Counter)
    broken: dict[ComparisonCase[_Compared], tuple[BrokenRule, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, comparer: CaseRunner[_Compared]) -> KernelComparison[_Compared]:
        """Return the empty result of a comparison."""
        return cls(KernelFindings(comparer.target, partial(struct_page_layout, comparer.kernel)))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of rules on the kernel's machine in all cases, one finding for each kind."""
        return self.rules.findings

    @property
    def clean(self) -> bool:
        """True if kernel and engine agree, every finding is declared, and every broken rule is known."""
        return not self.disagreements and not self.breaking and all(finding.declared for finding in self.findings)

    @property
    def breaking(self) -> tuple[ComparisonCase[_Compared], ...]:
        """The cases that break a rule, known breaches aside."""
        return tuple(case for case, rules in self.broken.items() if any(not one.known for one in rules))

    def add(self, case: ComparisonCase[_Compared], result: CaseResult | None) -> None:
        """Add the result of a case; None: it is a duplicate, which was skipped."""
        if result is None:
            self.duplicates += 1
            return
        self.cases += 1
        self.calls += result.calls
        self.pairs += len(case.failing) == 2
        self.per_scenario[case.scenario.name] += 1
        if result.differences:
            self.disagreements[case] = result.differences
        if result.broken:
            self.broken[case] = result.broken
        self.rules.add(result.evidence)


class Comparer:
    """Runs cases of one kernel on machine pairs, which are built on first use.

    target   the target of the machines; the engine follows its release
    kernel   the kernel
    omitted  what is not compared
    reference  the kernel whose code runs in place of the engine; None: the engine runs
    judge    applies rules to the kernel's machines

    rules  runs the cases that differ under all rules; None: they are not checked by these
    """

    omitted: tuple[str, ...] = (OMITTED,)

    def __init__(
        self,
        target: Target,
        kernel: Kernel,
        *,
        reference: Kernel | None = None,
        rules: CaseRunner[Scenario] | None = None,
    ) -> None:
        self.target = target
        self.reference = reference
        self.judge = KernelJudge()
        self._rules = rules
        self.kernel = kernel
        self._pairs: dict[tuple[int, VmemmapBacking], MachinePair] = {}

    @property
    def against(self) -> str:
        """The reference, in words."""
        if self.reference is None:
            return f"the model of {self.target.release}"
        return "the image's own code" if self.reference.linked is None else "the object before"

    def pair(self, scenario: Scenario) -> MachinePair:
        """Return the machines for a scenario."""
        memory, backing = scenario.memory(self.target.mode), scenario.backing
        pair = self._pairs.get((memory, backing))
        if pair is None:
            pair = MachinePair(self.target, self.kernel, memory=memory, backing=backing, reference=self.reference)
            self._pairs[memory, backing] = pair
        return pair

    def run(self, case: ComparisonCase[Scenario]) -> CaseResult:
        """Run a case on both machines."""
        scenario, pair = case.scenario, self.pair(case.scenario)
        folios, prelude = pair.prepare(scenario)
        for one in pair.both:
            one.frames.failure = case.policy()
            one.flip = scenario.flip
        with self.judge.watch(pair.kernel.machine, entries=pair.watch(scenario.order)):
            steps = [pair.run(step, scenario, folios) for step in scenario.steps]
        differences = [difference for results in (*prelude, *steps) for difference in differing_results(results)]
        result = CaseResult(
            (*differences, *differing_counters(pair), *differing_memory(pair)),
            max(one.frames.failure.calls for one in pair.both),
            sum(len(results.kernel.calls) for results in steps),
        )
        if all(isinstance(results.kernel.value, int) for results in steps):  # each call has returned
            try:
                self.judge.at_rest(pair.kernel.machine, {scenario.order: folios})
                self.judge.free(pair.kernel.machine, folios, scenario.order)
            except UNREADABLE_STATE as error:
                unreadable = StateDifference("struct pages at rest", f"cannot be read: {error}", "")
                result = result._replace(differences=(*result.differences, unreadable))
        broken = self._rules.run(case).broken if self._rules is not None and result.differences else ()
        return result._replace(evidence=self.judge.take(), broken=broken)


def cases_of(scenario: _Compared, allocations: int, *, every: bool) -> Iterator[ComparisonCase[_Compared]]:
    """Yield the cases of a scenario in which allocations fail, a single failure before others that begin with it.

    allocations  number of allocations if none fails
    every        all of them fail in turn; else, of many, and in pairs of a gigantic folio's, the first two, the middle
                 one and the last two
    """
    numbers: Iterable[int] = range(1, allocations + 1)
    if allocations > _MANY and not every:
        numbers = _sample(allocations)
    for number in numbers:
        yield ComparisonCase(scenario, (number,))
        yield ComparisonCase(scenario, (number,), onwards=True)
    if (allocations + 1) * allocations // 2 < _PAIRS:
        last = allocations + 1  # a retry allocates once more than a run without failures
        for pair in itertools.combinations(_sample(last) if scenario.gigantic and not every else range(1, last + 1), 2):
            yield ComparisonCase(scenario, pair)


def _sample(last: int) -> list[int]:
    """Return of 1 to ``last`` the first two, the middle one and the last two."""
    return sorted({number for number in (1, 2, last // 2, last - 1, last) if number > 0})


def run_cases(
    comparer: CaseRunner[_Compared],
    cases: Iterable[ComparisonCase[_Compared]],
    on_case: Callable[[ComparisonCase[_Compared]], None] = lambda _: None,
) -> Iterator[tuple[ComparisonCase[_Compared], CaseResult | None]]:
    """Run cases, all of a scenario that begin with one failing allocation or none of them; yield the result of each.

    The result is None for a duplicate, which is not run.
    """
    reached: dict[int, int] = {}
    for case in cases:
        first = case.failing[0] if case.failing else 0
        if case.second > reached.get(first, case.second):
            yield case, None
            continue
        on_case(case)
        result = comparer.run(case)
        reached.setdefault(first, result.allocations)
        yield case, result


def interrupted(comparison: KernelComparison[_Compared], scenarios: int) -> KeyboardInterrupt:
    """Return the interrupt of a comparison of so many scenarios, with the number of cases compared until then."""
    done = f"{comparison.cases} cases in {len(comparison.per_scenario)} of {scenarios} scenarios were compared"
    return KeyboardInterrupt(f"{done}, {len(comparison.disagreements)} differ")


def compare(
    comparer: CaseRunner[_Compared],
    scenarios: Sequence[_Compared],
    *,
    every: bool = False,
    on_case: Callable[[ComparisonCase[_Compared]], None] = lambda _: None,
    on_progress: OnProgress = lambda *_: None,
) -> KernelComparison[_Compared]:
    """Compare in every scenario, with failing allocations; calls `on_case` before each case, `on_progress` after it.

    Raises KeyboardInterrupt with the number of cases compared until then.
    """
    comparison = KernelComparison[_Compared].of(comparer)
    begin = time.perf_counter()
    known = 0
    try:
        for number, scenario in enumerate(scenarios, start=1):
            ((base, first),) = run_cases(comparer, [ComparisonCase(scenario)], on_case)
            comparison.add(base, first)
            cases = list(cases_of(scenario, 0 if first is None else first.allocations, every=every))
            known += 1 + len(cases)
            on_progress(number, known, comparison.cases + comparison.duplicates)
            for case, result in run_cases(comparer, cases, on_case):
                comparison.add(case, result)
                on_progress(number, known, comparison.cases + comparison.duplicates)
    except KeyboardInterrupt as interrupt:
        raise interrupted(comparison, len(scenarios)) from interrupt
    comparison.seconds = time.perf_counter() - begin
    return comparison
