"""What `hvolab kernel` shows: tables for people, data for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from hvolab.arch import Target
from hvolab.cli.options import target_as_dict
from hvolab.cli.output import table
from hvolab.hvo import HvoVariant
from hvolab_kernel.comparison.causes import Seen
from hvolab_kernel.comparison.comparer import ComparisonCase, Disagreement, KernelComparison
from hvolab_kernel.comparison.releases import ReleaseComparison
from hvolab_kernel.comparison.scenarios import Scenario
from hvolab_kernel.identify.features import HvoFeatures, departures, features_of
from hvolab_vmlinux.kernel import Kernel

#: Disagreements that are told in full.
_TOLD: Final = 10
_NOT_COMPARED: Final = (
    "not compared: numbers of frames, failing allocations, a switch thrown meanwhile, gigantic folios"
)
_LEFT_OUT: Final = "left out: the lru words of vmemmap pages that were allocated, freed or remapped"


class Progress:
    """A bar on a terminal, of the scenarios that are done; nothing elsewhere."""

    def __init__(self, console: Console, scenarios: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=scenarios)
        self._scenario: Scenario | None = None
        self._done = -1
        self._cases = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, case: ComparisonCase) -> None:
        """Hear of a case that is run next."""
        if case.scenario is not self._scenario:
            self._scenario = case.scenario
            self._done += 1
            self._cases = 0
        self._cases += 1
        words = f"{case.scenario.name}, case {self._cases}"
        self._bar.update(self._task, description=words, completed=self._done)


def comparison_view(kernel: Kernel, target: Target, variant: HvoVariant, result: KernelComparison) -> RenderableType:
    """The whole report."""
    where = f" on {target.architecture.name} {target.mode.name}; beside the engine as {variant.name}"
    heading = Text.assemble((kernel.image.release, "bold"), where)
    parts: list[RenderableType] = [heading, Text(), _scenarios(result), Text()]
    for one in result.disagreements[:_TOLD]:
        parts += [_disagreement(one), Text()]
    if len(result.disagreements) > _TOLD:
        parts += [Text(f"{len(result.disagreements) - _TOLD} more disagreements: --json has all", "yellow"), Text()]
    return Group(*parts, Text(_LEFT_OUT, "dim"), _verdict(result))


def _scenarios(result: KernelComparison) -> Table:
    rows = table("scenario", "cases", "disagree", right=("cases", "disagree"))
    wrong = Counter(one.case.scenario.name for one in result.disagreements)
    for name, cases in result.per_scenario.items():
        bad = wrong[name]
        rows.add_row(name, f"{cases}", Text(f"{bad}", "bold red" if bad else "green"))
    return rows


def _disagreement(one: Disagreement) -> Group:
    rows = table("what", "kernel", "engine")
    for column in rows.columns:
        column.no_wrap, column.overflow = False, "fold"
    for difference in one.differences:
        rows.add_row(Text(difference.what), Text(difference.kernel), Text(difference.engine))
    return Group(Text(str(one.case), "bold red"), rows)


def _verdict(result: KernelComparison) -> Text:
    if not result.cases:
        return Text("Nothing was compared: this kernel cannot be asked for these scenarios", "yellow")
    per_minute = 60 * result.cases / result.seconds if result.seconds else 0
    done = f"{result.cases} cases of {len(result.per_scenario)} scenarios, {result.calls} outside calls"
    done += f", {result.pairs} pairs of failures" if result.pairs else ""
    done += f"; {result.alike} more were not run, each is one of these again" if result.alike else ""
    rate = f", {result.seconds:.1f} s ({per_minute:.0f} cases a minute)"
    if result.disagreements:
        return Text.assemble((f"{len(result.disagreements)} disagreements", "bold red"), f" in {done}{rate}")
    return Text.assemble(("No disagreement", "bold green"), f" in {done}{rate}")


def comparison_data(kernel: Kernel, target: Target, variant: HvoVariant, result: KernelComparison) -> dict[str, Any]:
    """The comparison for JSON."""
    return {
        "release": kernel.image.release,
        "digest": kernel.image.digest,
        **target_as_dict(target),
        "hvo": features_of(kernel).release,
        "variant": variant.name,
        "cases": result.cases,
        "pairs": result.pairs,
        "alike": result.alike,
        "outside_calls": result.calls,
        "seconds": round(result.seconds, 3),
        "scenarios": [{"name": name, "cases": cases} for name, cases in result.per_scenario.items()],
        "left_out": [_LEFT_OUT],
        "disagreements": [one.as_dict() for one in result.disagreements],
    }


def other_release_view(kernel: Kernel, features: HvoFeatures, result: ReleaseComparison) -> RenderableType:
    """What a kernel of another release does otherwise than v6.12."""
    heading = Text.assemble((kernel.image.release, "bold"), f": {features.summary}; beside the engine as v6.12")
    sentences = [Padding(Text(sentence, "yellow"), (0, 0, 0, 2)) for sentence in departures(features)]
    rows = table("because", "times", "differs", "kernel", "engine", right=("times",))
    for column in rows.columns:
        column.no_wrap, column.overflow = column.header == "times", "fold"
    for feature, because, alike in _by_cause(result):
        (first, _), more = alike[0], len(alike) - 1
        words = Text(f"{feature}: {because}") if feature else Text("not explained", "bold red")
        what = f"{first.kind}: {first.what}" + (f", and {more} more like it" if more else "")
        rows.add_row(words, f"{sum(times for _, times in alike)}", what, Text(first.kernel), Text(first.engine))
    dim = Text(f"{_NOT_COMPARED}; --json has every difference by itself", "dim")
    done = f"{len(result.scenarios)} scenarios, {result.calls} outside calls, {result.seconds:.1f} s"
    total = sum(result.differences.values())
    verdict = Text(f"{total} differences, {result.unexplained} of them not of its release, in {done}")
    verdict.stylize("bold red" if result.unexplained else "bold green")
    return Group(heading, *sentences, Text(), rows, Text(), dim, verdict)


def _by_cause(result: ReleaseComparison) -> Iterator[tuple[str, str, list[tuple[Seen, int]]]]:
    """The differences of each cause, the most frequent first; what none explains is by itself, and comes first."""
    causes: dict[tuple[str, str], list[tuple[Seen, int]]] = {}
    for one, times in result.differences.most_common():
        if one.feature:
            causes.setdefault((one.feature, one.because), []).append((one.seen, times))
        else:
            yield "", "", [(one.seen, times)]
    for feature, because in sorted(causes):
        yield feature, because, causes[feature, because]


def other_release_data(features: HvoFeatures, result: ReleaseComparison) -> dict[str, Any]:
    """The same for JSON."""
    told = [
        {**one.as_dict(), "count": count, "first_in": result.where[one]} for one, count in result.differences.items()
    ]
    return {
        "release": features.release,
        "because": list(departures(features)),
        "scenarios": len(result.scenarios),
        "outside_calls": result.calls,
        "seconds": round(result.seconds, 3),
        "left_out": [_NOT_COMPARED],
        "differences": [one for one in told if one["feature"]],
        "unexplained": [one for one in told if not one["feature"]],
    }


def scenarios_view(scenarios: Sequence[Scenario]) -> RenderableType:
    """The scenarios, and what is done in each."""
    rows = table("scenario", "before", "compared")
    for one in scenarios:
        rows.add_row(one.name, _steps(one.prelude), _steps(one.steps))
    return rows


def scenarios_data(scenarios: Sequence[Scenario]) -> list[dict[str, Any]]:
    """The scenarios for JSON."""
    return [
        {
            "name": one.name,
            "order": one.order,
            "vmemmap": one.backing.value,
            "prelude": [str(step) for step in one.prelude],
            "steps": [str(step) for step in one.steps],
            "flip": one.flip,
        }
        for one in scenarios
    ]


def _steps(steps: Sequence[object]) -> str:
    return ", ".join(map(str, steps))
