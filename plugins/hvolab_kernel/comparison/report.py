# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab kernel`: comparison with a progress bar, tables for people, JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hvolab.arch import Target
from hvolab.cli.options import target_as_dict
from hvolab.cli.output import print_json, show, table
from hvolab.release import departures_of
from hvolab.serialize import as_data
from hvolab_kernel.comparison.comparer import CaseRunner, ComparisonCase, KernelComparison, NamedScenario
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.identify.release import identify
from hvolab_kernel.identify.report import departures_table
from hvolab_vmlinux.kernel import Kernel

#: Disagreements in the tables; JSON has all.
_MAX_DISAGREEMENTS: Final = 10
_Compared = TypeVar("_Compared", bound=NamedScenario)


def show_comparison(comparer: CaseRunner[_Compared], result: KernelComparison[_Compared], *, json: bool) -> bool:
    """Print the report of a comparison; return True if kernel and engine agree, and no rule is broken either."""
    if json:
        print_json(comparison_data(comparer.kernel, comparer, result))
    else:
        show(comparison_view(comparer.kernel, comparer, result))
    return result.clean


def show_scenarios(scenarios: Sequence[NamedScenario], *, json: bool) -> None:
    """Print the scenarios without running any."""
    if json:
        print_json([_scenario_data(one) for one in scenarios])
        return
    rows = table("scenario", "before", "compared")
    for one in scenarios:
        rows.add_row(one.name, ", ".join(map(str, one.prelude)), ", ".join(map(str, one.steps)))
    show(rows)


def _scenario_data(one: NamedScenario) -> dict[str, Any]:
    steps = {"prelude": [str(step) for step in one.prelude], "steps": [str(step) for step in one.steps]}
    return {"name": one.name, **one.properties(), **steps}


def comparison_view(
    kernel: Kernel, comparer: CaseRunner[_Compared], result: KernelComparison[_Compared]
) -> RenderableType:
    """Return the tables of a comparison."""
    target = comparer.target
    where = f" on {target.architecture.name} {target.mode.name}, compared with the model of {target.release}"
    heading = Text.assemble((kernel.image.release, "bold"), where)
    notes = (Text(note, "yellow") for note in identify(kernel, target.release).notes)
    parts: list[RenderableType] = [heading, *notes, Text()]
    if (departures := departures_table(target.release)) is not None:
        parts += [departures, Text()]
    if result.findings:
        parts += [_findings(result, target), Text()]
    parts += [_scenarios(result), Text()]
    for case, differences in islice(result.disagreements.items(), _MAX_DISAGREEMENTS):
        parts += [_disagreement(case, differences), Text()]
    if len(result.disagreements) > _MAX_DISAGREEMENTS:
        more = len(result.disagreements) - _MAX_DISAGREEMENTS
        parts += [Text(f"{more} more disagreements: --json has all", "yellow"), Text()]
    return Group(*parts, Text(f"omitted: {'; '.join(comparer.omitted)}", "dim"), _summary(result))


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


def _scenarios(result: KernelComparison[_Compared]) -> Table:
    rows = table("scenario", "cases", "disagree", right=("cases", "disagree"))
    disagreements = Counter(case.scenario.name for case in result.disagreements)
    for name, cases in result.per_scenario.items():
        count = disagreements[name]
        rows.add_row(name, f"{cases}", Text(f"{count}", "bold red" if count else "green"))
    return rows


def _disagreement(case: ComparisonCase[_Compared], differences: Sequence[StateDifference]) -> Group:
    rows = table("what", "kernel", "engine")
    for column in rows.columns:
        column.no_wrap, column.overflow = False, "fold"
    for difference in differences:
        rows.add_row(Text(difference.what), Text(difference.kernel), Text(difference.engine))
    return Group(Text(str(case), "bold red"), rows)


def _summary(result: KernelComparison[_Compared]) -> Text:
    if not result.cases:
        return Text("Nothing was compared: no selected scenario applies to this kernel", "yellow")
    per_minute = 60 * result.cases / result.seconds if result.seconds else 0
    done = f"{result.cases} cases of {len(result.per_scenario)} scenarios, {result.calls} outside calls"
    done += f", {result.pairs} pairs of failures" if result.pairs else ""
    done += f"; {result.duplicates} duplicate cases skipped" if result.duplicates else ""
    rate = f", {result.seconds:.1f} s ({per_minute:.0f} cases a minute)"
    count = len(result.findings)
    findings = (f"{count} finding{'s' * (count != 1)} about the kernel. " if count else "", "bold red")
    verdict = ("No disagreement", "" if count else "bold green")
    if result.disagreements:
        verdict = (f"{len(result.disagreements)} disagreements", "bold red")
    return Text.assemble(findings, verdict, f" in {done}{rate}")


def comparison_data(
    kernel: Kernel, comparer: CaseRunner[_Compared], result: KernelComparison[_Compared]
) -> dict[str, Any]:
    """Return a comparison as data."""
    identification = identify(kernel, comparer.target.release)
    return {
        "kernel": kernel.image.release,
        "digest": kernel.image.digest,
        **target_as_dict(comparer.target),
        "hvo": identification.found and identification.found.name,
        "differing": list(identification.differences),
        "departures": list(departures_of(comparer.target.release)),
        "cases": result.cases,
        "pairs": result.pairs,
        "duplicates": result.duplicates,
        "outside_calls": result.calls,
        "seconds": round(result.seconds, 3),
        "scenarios": [{"name": name, "cases": cases} for name, cases in result.per_scenario.items()],
        "left_out": [f"omitted: {one}" for one in comparer.omitted],
        "findings": as_data(result.findings),
        "disagreements": [_disagreement_data(*one) for one in result.disagreements.items()],
    }


def _disagreement_data(case: ComparisonCase[_Compared], differences: Sequence[StateDifference]) -> dict[str, Any]:
    scenario = case.scenario
    return {
        "scenario": scenario.name,
        "failing": list(case.failing),
        "onwards": case.onwards,
        "steps": [str(step) for step in (*scenario.prelude, *scenario.steps)],
        "differences": as_data(differences),
    }
