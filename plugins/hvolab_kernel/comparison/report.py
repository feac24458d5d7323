# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab kernel`: comparison with a progress bar, tables for people, JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hvolab.arch import Target
from hvolab.arch.target_data import TargetData, target_as_dict
from hvolab.cli.output import print_json, show, table
from hvolab.invariants import Finding
from hvolab.release import departures_of
from hvolab_kernel.comparison.comparer import CaseRunner, ComparisonCase, KernelComparison, NamedScenario
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.rules_report import Breach, breaches_of, breaches_view, kinds_view
from hvolab_kernel.identify.release import identify
from hvolab_kernel.identify.report import departures_table
from hvolab_vmlinux.kernel import Kernel

#: Disagreements in the tables; JSON has all.
_MAX_DISAGREEMENTS: Final = 10
#: The same for objects, whose differences are listed by kind.
_MAX_OF_OBJECTS: Final = 2
_Compared = TypeVar("_Compared", bound=NamedScenario)


@dataclass(frozen=True)
class ScenarioCases:
    """A scenario, and the number of its cases that were run."""

    name: str
    cases: int


@dataclass(frozen=True)
class DisagreementData:
    """A case in which the kernel's code differs from the reference.

    failing      numbers of the allocations that fail, 1 being the first in the steps that are compared
    onwards      whether every later one fails too
    steps        steps of the scenario
    differences  each difference; `engine` is the reference's value
    """

    scenario: str
    failing: tuple[int, ...]
    onwards: bool
    steps: tuple[str, ...]
    differences: tuple[StateDifference, ...]


@dataclass(frozen=True)
class ComparisonReport(TargetData):
    """Comparison of a kernel's code with one reference; the target is that of both.

    kernel         release of the image
    digest         SHA-256 of the image
    hvo            release that has all features of the image; None: no known release has
    differing      each feature in which the image differs from the target's release, with evidence and changes
    departures     differences of the target's release from the default release
    pairs          cases in which two allocations fail
    duplicates     cases skipped: their second failing allocation is never reached, so they equal the single failure
    outside_calls  calls out of HVO in all cases
    seconds        duration of the cases
    left_out       what is not compared
    findings       findings of the invariants on the kernel's machine
    against        the reference; `rules`: there is none
    broken         rules that the code breaks, known ones included
    """

    kernel: str
    digest: str
    hvo: str | None
    differing: tuple[str, ...]
    departures: tuple[str, ...]
    cases: int
    pairs: int
    duplicates: int
    outside_calls: int
    seconds: float
    scenarios: tuple[ScenarioCases, ...]
    left_out: tuple[str, ...]
    findings: tuple[Finding, ...]
    against: str
    broken: tuple[Breach, ...]
    disagreements: tuple[DisagreementData, ...]


def show_comparisons(
    comparisons: Iterable[tuple[CaseRunner[_Compared], KernelComparison[_Compared]]], *, json: bool
) -> bool:
    """Print the report of each comparison as soon as it ends; return True if nothing differs and no rule is broken.

    json  print one object: that of the only comparison, or those of several by their reference
    """
    clean, data = True, {}
    for comparer, result in comparisons:
        clean &= result.clean
        data[comparer.against or "rules"] = comparison_report(comparer, result)
        if not json:
            show(comparison_view(comparer.kernel, comparer, result))
    if json:
        print_json(data if len(data) > 1 else next(iter(data.values())))
    return clean


def show_scenarios(scenarios: Sequence[NamedScenario], *, json: bool) -> None:
    """Print the scenarios without running any."""
    if json:
        print_json([one.data() for one in scenarios])
        return
    rows = table("scenario", "before", "compared")
    for one in scenarios:
        rows.add_row(one.name, ", ".join(map(str, one.prelude)), ", ".join(map(str, one.steps)))
    show(rows)


def comparison_view(
    kernel: Kernel, comparer: CaseRunner[_Compared], result: KernelComparison[_Compared]
) -> RenderableType:
    """Return the tables of a comparison."""
    target = comparer.target
    reference = f"compared with {comparer.against}" if comparer.against else "checked by rules"
    where = f" on {target.architecture.name} {target.mode.name}, {reference}"
    heading = Text.assemble((kernel.image.release, "bold"), where)
    notes = (Text(note, "yellow") for note in identify(kernel, target.release).notes)
    parts: list[RenderableType] = [heading, *notes, Text()]
    if (departures := departures_table(target.release)) is not None:
        parts += [departures, Text()]
    if result.findings:
        parts += [_findings(result, target), Text()]
    ruled = not comparer.against or kernel.linked is not None
    breaches = breaches_of(result)
    if breaches:
        parts += [breaches_view(breaches), Text()]
    parts += [_scenarios(result, compared=bool(comparer.against), ruled=ruled), Text()]
    most = _MAX_DISAGREEMENTS
    if kernel.linked is not None and result.disagreements:
        most = _MAX_OF_OBJECTS
        parts += [kinds_view(result), Text()]
    for case, differences in islice(result.disagreements.items(), most):
        parts += [_disagreement(case, differences), Text()]
    if len(result.disagreements) > most:
        parts += [Text(f"{len(result.disagreements) - most} more disagreements: --json has all", "yellow"), Text()]
    if comparer.omitted:
        parts.append(Text(f"omitted: {'; '.join(comparer.omitted)}", "dim"))
    return Group(*parts, _summary(result, ruled=not comparer.against, judged=kernel.linked is not None))


def _findings(result: KernelComparison[_Compared], target: Target) -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for one in result.findings:
        where = f"; first at {one.where}" if one.where else ""
        name = (f"invariant {one.number}, {one.invariant.title}: ", "bold red")
        rows.add_row(Text("finding", "bold red"), Text.assemble(name, f"{one.what}{where}"))
    for fault in dict.fromkeys(one.fault for one in result.findings if one.fault):
        rows.add_row("", Text(f"known fault of {target.release}: {fault}", "yellow"))
    return rows


def _scenarios(result: KernelComparison[_Compared], *, compared: bool, ruled: bool) -> Table:
    """Return the number of cases of each scenario; `compared`: with a reference, `ruled`: checked by rules."""
    columns = {
        title: Counter(case.scenario.name for case in cases)
        for title, cases, present in (
            ("disagree", result.disagreements, compared),
            ("break a rule", result.breaking, ruled),
        )
        if present
    }
    rows = table("scenario", "cases", *columns, right=("cases", *columns))
    for name, cases in result.per_scenario.items():
        counts = (counter[name] for counter in columns.values())
        rows.add_row(name, f"{cases}", *(Text(f"{each}", "bold red" if each else "green") for each in counts))
    return rows


def _disagreement(case: ComparisonCase[_Compared], differences: Sequence[StateDifference]) -> Group:
    rows = table("what", "kernel", "engine")
    for column in rows.columns:
        column.no_wrap, column.overflow = False, "fold"
    for difference in differences:
        rows.add_row(Text(difference.what), Text(difference.kernel), Text(difference.engine))
    return Group(Text(str(case), "bold red"), rows)


def _summary(result: KernelComparison[_Compared], *, ruled: bool, judged: bool) -> Text:
    """Return the last line; `ruled`: rules alone were checked; `judged`: also where it differs."""
    if not result.cases:
        return Text("Nothing was compared: no selected scenario applies to this kernel", "yellow")
    per_minute = 60 * result.cases / result.seconds if result.seconds else 0
    done = f"{result.cases} cases of {len(result.per_scenario)} scenarios, {result.calls} outside calls"
    done += f", {result.pairs} pairs of failures" if result.pairs else ""
    done += f"; {result.duplicates} duplicate cases skipped" if result.duplicates else ""
    rate = f", {result.seconds:.1f} s ({per_minute:.0f} cases a minute)"
    count = len(result.findings)
    findings = (f"{count} finding{'s' * (count != 1)} about the kernel. " if count else "", "bold red")
    verdict = ("No rule is broken" if ruled else "No disagreement", "" if count else "bold green")
    if result.breaking:
        broken = len(result.breaking)
        verdict = (f"Rules are broken in {broken} case{'s' * (broken != 1)}", "bold red")
    elif result.disagreements:
        ruling = "It behaves differently, breaks no rule: " if judged else ""
        verdict = (f"{ruling}{len(result.disagreements)} disagreements", "bold red")
    return Text.assemble(findings, verdict, "; " if result.breaking else " in ", f"{done}{rate}")


def comparison_report(comparer: CaseRunner[_Compared], result: KernelComparison[_Compared]) -> ComparisonReport:
    """Return a comparison for JSON."""
    kernel = comparer.kernel
    identification = identify(kernel, comparer.target.release)
    return ComparisonReport(
        **target_as_dict(comparer.target),
        kernel=kernel.image.release,
        digest=kernel.image.digest,
        hvo=None if identification.found is None else identification.found.name,
        differing=identification.differences,
        departures=departures_of(comparer.target.release),
        cases=result.cases,
        pairs=result.pairs,
        duplicates=result.duplicates,
        outside_calls=result.calls,
        seconds=round(result.seconds, 3),
        scenarios=tuple(ScenarioCases(name, cases) for name, cases in result.per_scenario.items()),
        left_out=tuple(f"omitted: {one}" for one in comparer.omitted),
        findings=result.findings,
        against=comparer.against or "rules",
        broken=tuple(breaches_of(result)),
        disagreements=tuple(_disagreement_data(*one) for one in result.disagreements.items()),
    )


def _disagreement_data(case: ComparisonCase[_Compared], differences: tuple[StateDifference, ...]) -> DisagreementData:
    scenario = case.scenario.data()
    return DisagreementData(
        scenario.name, case.failing, case.onwards, (*scenario.prelude, *scenario.steps), differences
    )
