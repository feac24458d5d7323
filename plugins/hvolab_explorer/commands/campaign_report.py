# SPDX-License-Identifier: GPL-2.0-only
"""Report of a campaign: one line for each configuration, then each different finding with the targets that have it."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hvolab.cli.output import as_text, console, print_json, table
from hvolab.serialize import as_data
from hvolab_explorer.exploration import Prevention
from hvolab_explorer.runs.campaign import MergedResult, merge
from hvolab_explorer.runs.configuration import shared_assumptions
from hvolab_explorer.runs.run import Explored
from hvolab_explorer.runs.story import story

#: Files of the report in the folder of a campaign.
TEXT, DATA = "report.txt", "report.json"


@dataclass(frozen=True)
class MergedFindingData:
    """Finding of a configuration on one target or several.

    text        what is wrong, on the first of them
    schedule    its schedule there, for --replay
    targets     architecture and release of each target
    prevention  the last step there that another order could replace
    """

    text: str
    schedule: str
    targets: tuple[str, ...]
    prevention: Prevention | None


@dataclass(frozen=True)
class MergedData:
    """Results of one configuration on all targets.

    targets     number of targets
    complete    number of targets on which it is complete
    incomplete  targets on which it is not, by reason
    schedules   schedules run on all of them
    classes     number of different classes
    """

    name: str
    targets: int
    complete: int
    incomplete: dict[str, list[str]]
    schedules: int
    classes: int
    findings: tuple[MergedFindingData, ...]


@dataclass(frozen=True)
class CampaignReport:
    """Result of `hvolab explore --campaign`.

    units     configurations on targets in all
    explored  those of them that were explored
    """

    units: int
    explored: int
    configurations: tuple[MergedData, ...]


def write(explored: Sequence[Explored], units: int, folder: Path) -> None:
    """Write the report as text and as JSON; ``units`` is the number of configurations on targets in all."""
    merged = merge(explored)
    (folder / TEXT).write_text("\n".join(_lines(explored, merged, units)) + "\n", "utf-8")
    data = as_data(_report_of(explored, merged, units))
    (folder / DATA).write_text(json_format.dumps(data, indent=2) + "\n", "utf-8")


def show(explored: Sequence[Explored], units: int, folder: Path, *, json: bool) -> None:
    """Show the report, and where it is."""
    merged = merge(explored)
    if json:
        print_json(_report_of(explored, merged, units))
        return
    lines = [*_lines(explored, merged, units), f"report: {folder / TEXT}, {folder / DATA}"]
    console().print(*lines, sep="\n", soft_wrap=True)


def _lines(explored: Sequence[Explored], merged: Sequence[MergedResult], units: int) -> Iterator[str]:
    """Yield the report for people."""
    found = sum(len(one.findings) for one in merged)
    yield f"{len(explored)} of {units} configurations on targets explored, {found} different findings"
    numbers = ("targets", "complete", "schedules", "classes", "findings")
    made = table("configuration", *numbers, right=numbers)
    for one in merged:
        row = one.targets, one.complete, one.schedules, len(one.classes), len(one.findings)
        made.add_row(one.name, *map(str, row))
    yield as_text(made)
    for one in merged:
        yield from (f"{one.name} is not complete: {text}" for text in _reasons(one))
    for one in merged:
        for finding in one.findings.values():
            yield f"\nfinding of {one.name}: {finding.found.text}"
            yield f"on {'; '.join(finding.targets)}"
            yield f"schedule on {finding.targets[0]}: {finding.schedule}"
            yield as_text(story(finding.configuration, finding.found.log, finding.found.prevention))
    whole = [one.configuration for one in explored if one.result.complete]
    if whole:
        yield "\ncomplete: every class of schedules was explored, assuming that"
    yield from (f"- {text}" for text in shared_assumptions(whole))


def _reasons(one: MergedResult) -> Iterator[str]:
    for reason, targets in one.incomplete.items():
        yield f"{reason} ({'; '.join(targets)})"


def _report_of(explored: Sequence[Explored], merged: Sequence[MergedResult], units: int) -> CampaignReport:
    """Return the report for JSON."""
    configurations = (
        MergedData(
            name=one.name,
            targets=one.targets,
            complete=one.complete,
            incomplete=one.incomplete,
            schedules=one.schedules,
            classes=len(one.classes),
            findings=tuple(
                MergedFindingData(found.found.text, found.schedule, tuple(found.targets), found.found.prevention)
                for found in one.findings.values()
            ),
        )
        for one in merged
    )
    return CampaignReport(units, len(explored), tuple(configurations))
