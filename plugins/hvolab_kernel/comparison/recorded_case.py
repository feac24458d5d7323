# SPDX-License-Identifier: GPL-2.0-only
"""A case of a comparison, run again with a recorder on both machines: two voices, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hvolab.errors import UsageError
from hvolab.scenario import Recorder
from hvolab_kernel.comparison.comparer import CaseRunner, Comparer, ComparisonCase, KernelComparison
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.scenarios import Scenario
from hvolab_kernel.running import KernelHvo

Compared = tuple[CaseRunner[Any], KernelComparison[Any]]


class RecordedCase:
    """The case of a comparison that a recorder is shown: the first that differs, else the first scenario.

    recorder   the recorder; None: nothing is recorded
    scenarios  the selected scenarios, from which the case is taken if none differs
    """

    def __init__(self, recorder: Recorder | None, scenarios: Sequence[Any]) -> None:
        self._recorder = recorder
        self._scenarios = scenarios
        self._first: tuple[Comparer, ComparisonCase[Scenario], tuple[StateDifference, ...]] | None = None

    def follow(self, compared: Iterable[Compared]) -> Iterator[Compared]:
        """Yield each comparison, and choose the case; after the last one, record it."""
        for comparer, comparison in compared:
            if self._recorder is not None and isinstance(comparer, Comparer):
                self._choose(comparer, comparison)
            yield comparer, comparison
        if self._recorder is not None and self._first is not None:
            record(*self._first, self._recorder)

    def _choose(self, comparer: Comparer, comparison: KernelComparison[Any]) -> None:
        """Choose the first case that differs; until there is one, the first scenario that was compared."""
        if self._first is not None and (self._first[2] or not comparison.disagreements):
            return
        for case, differences in comparison.disagreements.items():
            self._first = comparer, case, differences
            return
        scenario = next((one for one in self._scenarios if one.name in comparison.per_scenario), None)
        if scenario is not None:
            self._first = comparer, ComparisonCase(scenario), ()


def require_recordable(*, callers: bool, rules: bool) -> None:
    """Raise UsageError for a comparison whose cases cannot be recorded as two voices."""
    if callers or rules:
        what = "--callers" if callers else "--against rules"
        raise UsageError(
            f"a timeline of {what} cannot be written",
            rule="--html and --trace record a case of HVO's own functions on two machines",
            hint=f"leave out {what}, or --html and --trace",
        )


def record(
    comparer: Comparer, case: ComparisonCase[Scenario], differences: Sequence[StateDifference], recorder: Recorder
) -> None:
    """Run a case on the engine's machine and then on the kernel's, each a voice of the recorder.

    differences  what was found in this case: stages at the end of the kernel's voice
    """
    scenario, pair = case.scenario, comparer.pair(case.scenario)
    folios, _ = pair.prepare(scenario)
    names = comparer.against.removeprefix("the "), f"kernel {comparer.kernel.image.release}"
    for one, name in zip(pair.both, names, strict=True):
        one.frames.failure = case.policy()
        one.flip = scenario.flip
        if isinstance(one.hvo, KernelHvo):
            one.hvo.kernel_cpu.watch_page_tables = True
        recorder.watch(one.machine, name=name)
        recorder.mark(str(case))
        for step in scenario.steps:
            recorder.mark(str(step))
            result = one.run(step, scenario, folios)
            recorder.mark(f"result of {step}: {result.value}")
    for difference in differences:
        recorder.mark(f"{difference.what}: {difference.kernel or 'nothing'} against {difference.engine or 'nothing'}")
