"""Carries scenarios out on both sides, with each allocation failing in turn, and collects what differs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hvolab.arch import Target
from hvolab.machine import VmemmapBacking
from hvolab.machine.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab_kernel.kernel import Kernel

from .bed import Bed, HugePage
from .differences import Difference, differing_calls, differing_counters, differing_memory
from .forms import form_of
from .scenarios import Scenario, Step

#: Pairs of failing allocations are tried where there are fewer.
_PAIRS: Final = 2000
#: Beyond so many allocations only a few are made to fail, unless every one is asked for.
_MANY: Final = 64
_SMALL_MEMORY, _LARGE_MEMORY = 512 << 20, 2 << 30


@dataclass(frozen=True)
class Case:
    """A scenario with allocations that fail.

    failing  their numbers, 1 being the first of the steps that are compared
    onwards  whether every later one fails too
    """

    scenario: Scenario
    failing: tuple[int, ...] = ()
    onwards: bool = False

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

    case: Case
    differences: tuple[Difference, ...]

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
class Comparison:
    """What was compared.

    cases, calls   how many cases, and outside calls in them
    seconds        what the cases took
    disagreements  those in which something differs
    per_scenario   cases of each scenario, by name
    """

    cases: int = 0
    calls: int = 0
    seconds: float = 0.0
    disagreements: list[Disagreement] = field(default_factory=list)
    per_scenario: dict[str, int] = field(default_factory=dict)


class Comparer:
    """Compares on beds that are made when they are first needed."""

    def __init__(self, target: Target, kernel: Kernel) -> None:
        self._target = target
        self._kernel = kernel
        self.form = form_of(kernel)
        self._beds: dict[tuple[bool, VmemmapBacking], Bed] = {}

    def bed(self, scenario: Scenario) -> Bed:
        """The machines for a scenario."""
        key = (scenario.gigantic, scenario.backing)
        if key not in self._beds:
            memory = _LARGE_MEMORY if scenario.gigantic else _SMALL_MEMORY
            self._beds[key] = Bed(self._target, self._kernel, self.form, memory=memory, backing=scenario.backing)
        return self._beds[key]

    def run(self, case: Case) -> tuple[list[Difference], int, int]:
        """Carry a case out on both sides: what differs, allocation calls, outside calls."""
        scenario, bed = case.scenario, self.bed(case.scenario)
        bed.reset()
        h = HugePage(scenario.order)
        pfns = [bed.pfn(place, scenario.order) for place in scenario.places]
        folios = [[side.make_folio(pfn, scenario.order) for pfn in pfns] for side in bed.sides]
        found: list[Difference] = []
        made = 0
        for step in scenario.prelude:
            found += self._step(bed, step, h, folios[0])[0]
        for side in bed.sides:
            side.failure = case.policy()
            side.flip = scenario.flip
        for step in scenario.steps:
            more, calls = self._step(bed, step, h, folios[0])
            found += more
            made += calls
        asked = max(side.failure.calls for side in bed.sides)
        found += differing_counters(bed)
        found += differing_memory(bed)
        return found, asked, made

    def _step(self, bed: Bed, step: Step, h: HugePage, folios: Sequence[int]) -> tuple[list[Difference], int]:
        (ours, our_calls), (theirs, their_calls) = (side.carry_out(step, h, folios) for side in bed.sides)
        found = []
        if ours != theirs:
            found.append(Difference(f"result of {step}", str(theirs), str(ours)))
        found += differing_calls(their_calls, our_calls, str(step))
        found += [Difference(f"finding in {step}", text, "") for text in bed.findings]
        return found, len(their_calls)


def cases_of(scenario: Scenario, allocations: int, *, every: bool) -> Iterator[Case]:
    """The cases of a scenario in which allocations fail; ``allocations``: calls where none does.

    every  each of them, however many there are; else, of many, the first two, the middle and the last
    """
    numbers: Iterable[int] = range(1, allocations + 1)
    if allocations > _MANY and not every:
        numbers = sorted({1, 2, allocations // 2, allocations - 1, allocations})
    for number in numbers:
        yield Case(scenario, (number,))
        yield Case(scenario, (number,), onwards=True)
    # a retry makes calls beyond those that are made where nothing fails
    pairs = itertools.combinations(range(1, allocations + 2), 2)
    if (allocations + 1) * allocations // 2 < _PAIRS:
        for pair in pairs:
            yield Case(scenario, pair)


def compare(
    comparer: Comparer,
    scenarios: Sequence[Scenario],
    *,
    every: bool = False,
    told: Callable[[Case], None] = lambda _: None,
) -> Comparison:
    """Compare in every scenario, with allocations failing; ``told`` hears of each case before it is run."""
    result = Comparison()
    begun = time.perf_counter()
    for scenario in scenarios:
        first = Case(scenario)
        told(first)
        found, allocations, calls = comparer.run(first)
        _note(result, first, found, calls)
        for case in cases_of(scenario, allocations, every=every):
            told(case)
            found, _, calls = comparer.run(case)
            _note(result, case, found, calls)
    result.seconds = time.perf_counter() - begun
    return result


def _note(result: Comparison, case: Case, found: Sequence[Difference], calls: int) -> None:
    result.cases += 1
    result.calls += calls
    name = case.scenario.name
    result.per_scenario[name] = result.per_scenario.get(name, 0) + 1
    if found:
        result.disagreements.append(Disagreement(case, tuple(found)))
