"""Carries scenarios out on both sides, with each allocation failing in turn, and collects what differs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hvolab.arch import Target
from hvolab.hvo import HvoVariant
from hvolab.machine import VmemmapBacking
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab_kernel.comparison.differences import StateDifference, differing_calls, differing_counters, differing_memory
from hvolab_kernel.comparison.machine_pair import MachinePair, Result
from hvolab_kernel.comparison.scenarios import Operation, Scenario, ScenarioStep
from hvolab_kernel.identify.variants import variant_of
from hvolab_vmlinux.kernel import Kernel

#: Pairs of failing allocations are tried where there are fewer.
_PAIRS: Final = 2000
#: Beyond so many allocations only a few are made to fail, unless every one is asked for.
_MANY: Final = 64


@dataclass(frozen=True)
class ComparisonCase:
    """A scenario with allocations that fail.

    failing  their numbers, 1 being the first of the steps that are compared
    onwards  whether every later one fails too
    """

    scenario: Scenario
    failing: tuple[int, ...] = ()
    onwards: bool = False

    @property
    def besides(self) -> int:
        """The first allocation that fails besides the one that fails first; 0: only one does."""
        return self.failing[0] + 1 if self.onwards else (*self.failing, 0, 0)[1]

    def policy(self) -> FailurePolicy:
        """What makes them fail."""
        if not self.failing:
            return NeverFail()
        return FailFrom(self.failing[0]) if self.onwards else FailCalls(frozenset(self.failing))

    def __str__(self) -> str:
        if not self.failing:
            return self.scenario.name
        more = " and all later ones" if self.onwards else ""
        return f"{self.scenario.name}; allocation {', '.join(map(str, self.failing))}{more} fails"


@dataclass(frozen=True)
class Disagreement:
    """A case, and what differs in it."""

    case: ComparisonCase
    differences: tuple[StateDifference, ...]

    def as_dict(self) -> dict[str, Any]:
        """The disagreement for JSON."""
        return {
            "scenario": self.case.scenario.name,
            "failing": list(self.case.failing),
            "onwards": self.case.onwards,
            "steps": [str(step) for step in (*self.case.scenario.prelude, *self.case.scenario.steps)],
            "differences": [one.as_dict() for one in self.differences],
        }


@dataclass
class KernelComparison:
    """What was compared.

    cases, calls   how many cases, and outside calls in them
    pairs          cases in which two allocations fail
    alike          cases that were not run: as far as they come they are another one, since what fails besides in them
                   is never asked for
    seconds        what the cases took
    disagreements  those in which something differs
    per_scenario   cases of each scenario, by name
    """

    cases: int = 0
    calls: int = 0
    pairs: int = 0
    alike: int = 0
    seconds: float = 0.0
    disagreements: list[Disagreement] = field(default_factory=list)
    per_scenario: dict[str, int] = field(default_factory=dict)


class Comparer:
    """Compares on beds that are made when they are first needed."""

    def __init__(self, target: Target, kernel: Kernel) -> None:
        self.target = target
        self._kernel = kernel
        self.variant = variant_of(kernel)
        self._beds: dict[tuple[int, VmemmapBacking], MachinePair] = {}

    def bed(self, scenario: Scenario) -> MachinePair:
        """The machines for a scenario."""
        memory = scenario.memory(self.target.mode)
        key = (memory, scenario.backing)
        if key not in self._beds:
            self._beds[key] = MachinePair(
                self.target, self._kernel, self.variant, memory=memory, backing=scenario.backing
            )
        return self._beds[key]

    def run(self, case: ComparisonCase) -> tuple[list[StateDifference], int, int]:
        """Carry a case out on both sides: what differs, allocation calls, outside calls."""
        scenario, bed = case.scenario, self.bed(case.scenario)
        folios, told = bed.prepare(scenario)
        found = [difference for step, ours, theirs in told for difference in _differing(bed, step, ours, theirs)]
        for side in bed.sides:
            side.failure = case.policy()
            side.flip = scenario.flip
        made = 0
        for step in scenario.steps:
            ours, theirs = bed.carry_out(step, scenario.order, folios)
            found += _differing(bed, step, ours, theirs)
            made += len(theirs[1])
        asked = max(side.failure.calls for side in bed.sides)
        return [*found, *differing_counters(bed), *differing_memory(bed)], asked, made


def _differing(bed: MachinePair, step: ScenarioStep, ours: Result, theirs: Result) -> list[StateDifference]:
    """What differs between what a step gave, the engine's side first."""
    found = []
    if ours[0] != theirs[0]:
        found.append(StateDifference(f"result of {step}", str(theirs[0]), str(ours[0])))
    found += differing_calls(theirs[1], ours[1], str(step))
    found += [StateDifference(f"finding in {step}", text, "") for text in bed.findings]
    return found


def comparable(scenarios: Sequence[Scenario], variant: HvoVariant, *, batches: bool) -> tuple[Scenario, ...]:
    """Those of the scenarios that a kernel can be asked for.

    batches  whether its HVO takes lists of folios

    Left out as well is optimizing what is optimized already, where the kernel leaves that to its callers to avoid.
    """

    def wanted(one: Scenario) -> bool:
        """Whether no step of it is one that the kernel cannot be asked for."""
        if one.takes_lists and not batches:
            return False
        optimized: set[int] = set()
        for step in (*one.prelude, *one.steps):
            if step.operation is Operation.OPTIMIZE and not variant.refuses_optimized and optimized & set(step.folios):
                return False
            if step.operation is Operation.OPTIMIZE:
                optimized |= set(step.folios)
            elif step.operation is Operation.RESTORE:
                optimized -= set(step.folios)
        return True

    return tuple(one for one in scenarios if wanted(one))


def cases_of(scenario: Scenario, allocations: int, *, every: bool) -> Iterator[ComparisonCase]:
    """The cases of a scenario in which allocations fail; ``allocations``: calls where none does.

    Of those that begin with the same failing allocation, that in which no other one fails is the first.

    every  each of them, however many there are; else, of many, the first two, the middle and the last
    """
    numbers: Iterable[int] = range(1, allocations + 1)
    if allocations > _MANY and not every:
        numbers = sorted({1, 2, allocations // 2, allocations - 1, allocations})
    for number in numbers:
        yield ComparisonCase(scenario, (number,))
        yield ComparisonCase(scenario, (number,), onwards=True)
    # a retry makes calls beyond those that are made where nothing fails
    pairs = itertools.combinations(range(1, allocations + 2), 2)
    if (allocations + 1) * allocations // 2 < _PAIRS:
        for pair in pairs:
            yield ComparisonCase(scenario, pair)


def compare(
    comparer: Comparer,
    scenarios: Sequence[Scenario],
    *,
    every: bool = False,
    told: Callable[[ComparisonCase], None] = lambda _: None,
) -> KernelComparison:
    """Compare in every scenario, with allocations failing; ``told`` hears of each case before it is run."""
    result = KernelComparison()
    begun = time.perf_counter()
    for scenario in scenarios:
        first = ComparisonCase(scenario)
        told(first)
        found, allocations, calls = comparer.run(first)
        _note(result, first, found, calls)
        asked: dict[int, int] = {}
        for case in cases_of(scenario, allocations, every=every):
            if case.besides > asked.get(case.failing[0], case.besides):
                result.alike += 1
                continue
            told(case)
            found, made, calls = comparer.run(case)
            asked.setdefault(case.failing[0], made)
            _note(result, case, found, calls)
    result.seconds = time.perf_counter() - begun
    return result


def _note(result: KernelComparison, case: ComparisonCase, found: Sequence[StateDifference], calls: int) -> None:
    result.cases += 1
    result.calls += calls
    result.pairs += len(case.failing) == 2
    name = case.scenario.name
    result.per_scenario[name] = result.per_scenario.get(name, 0) + 1
    if found:
        result.disagreements.append(Disagreement(case, tuple(found)))
