# SPDX-License-Identifier: GPL-2.0-only
"""Configurations spread over processes: those of one target, and campaigns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hvolab.arch import Target
from hvolab.cli.options import split_names
from hvolab.cli.progress_bar import OnUnits, progress_bar
from hvolab.cli.reports import Reports
from hvolab.executors import executor_of
from hvolab.scenario import Recorder
from hvolab_explorer.commands import campaign_report, report
from hvolab_explorer.runs.campaign import Campaign, targets_of
from hvolab_explorer.runs.configuration import Configuration
from hvolab_explorer.runs.run import Explored, record_first, repeat
from hvolab_explorer.runs.units import UNITS_EACH, Unit
from hvolab_explorer.search.spec import SearchSpec

#: Values of --arch, --mode, --profile, --release and --feature.
TargetChoice = tuple[str | None, str | None, str | None, str | None, list[str] | None]


@dataclass(frozen=True)
class Spread:
    """Choices about the search and the processes that share it.

    search   the search
    seconds  time for each configuration, at most
    jobs     number of processes; None: one for each CPU, if that is faster
    address  the cluster instead, `dask://HOST:PORT`
    """

    search: SearchSpec
    seconds: float
    jobs: int | None
    address: str | None

    def campaign(
        self, configurations: Sequence[Configuration], targets: Sequence[Target], folder: Path | None = None
    ) -> Campaign:
        """Return every configuration on every target; raises UsageError for a search that does not exist."""
        self.search.make()
        return Campaign([Unit(one, to, self.search, self.seconds) for to in targets for one in configurations], folder)

    def run(self, campaign: Campaign) -> str:
        """Explore what the campaign does not have; return what was done if the user interrupts it, else nothing."""
        left = len(campaign.units) - len(campaign.explored)
        try:
            with (
                executor_of(left, self.jobs, self.address, UNITS_EACH) as executor,
                progress_bar("configurations") as bar,
            ):
                campaign.run(executor, partial(_report, bar, itertools.count(1), left))
        except KeyboardInterrupt:
            explored = campaign.results()
            findings = sum(len(one.findings) for one in explored)
            return f"{len(explored)} of {len(campaign.units)} configurations explored, {findings} with a finding"
        return ""


def _report(bar: OnUnits, done: Iterator[int], count: int, _: int, __: Explored) -> None:
    """Show one more result."""
    number = next(done)
    bar(number, count, f"{number} of {count}")


def explore_here(
    configurations: Sequence[Configuration],
    target: Target,
    spread: Spread,
    *,
    json: bool,
    recorder: Recorder | None = None,
) -> bool:
    """Explore on one target and show the results; return True if there is a finding.

    recorder  recorder of the first finding, which is repeated; None: nothing is recorded

    Raises KeyboardInterrupt, with what was done, after that was shown.
    """
    campaign = spread.campaign(configurations, [target])
    interrupted = spread.run(campaign)
    explored = campaign.results()
    if explored or not interrupted:
        report.show(explored, target, json=json)
    if interrupted:
        raise KeyboardInterrupt(interrupted)
    if recorder is not None:
        record_first(explored, target, recorder)
    return any(one.findings for one in explored)


def explore_or_replay(
    configurations: list[Configuration],
    target: Target,
    spread: Spread,
    schedule: str | None,
    reports: Reports,
    *,
    json: bool,
) -> bool:
    """Replay a schedule, or explore if there is none, and write the reports; return True if there is a finding."""
    with reports as recorder:
        if schedule is not None:
            found = report.show_replay(repeat(configurations, target, schedule, recorder), json=json)
        else:
            found = explore_here(configurations, target, spread, json=json, recorder=recorder)
    report.show_files(() if json else reports.files)
    return found


def explore_everywhere(
    configurations: Sequence[Configuration], choice: TargetChoice, spread: Spread, folder: Path, *, json: bool
) -> bool:
    """Explore on every target that the options allow, and leave a report; return True if there is a finding.

    Raises KeyboardInterrupt, with what was done, after the report was written.
    """
    arch, mode, profile, release, features = choice
    targets = targets_of(arch, mode, profile, release, split_names(features))
    # what a target does not allow is a result of a configuration that has a name
    named = [replace(one, name=one.name or ", ".join(map(str, one.actors))) for one in configurations]
    campaign = spread.campaign(named, targets, folder)
    interrupted = spread.run(campaign)
    explored = campaign.results()
    campaign_report.write(explored, len(campaign.units), folder)
    if interrupted:
        raise KeyboardInterrupt(f"{interrupted}; results and report are in {folder}, the same command continues")
    campaign_report.show(explored, len(campaign.units), folder, json=json)
    return any(one.findings for one in explored)
