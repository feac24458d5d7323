# SPDX-License-Identifier: GPL-2.0-only
"""Campaigns: configurations on several targets, with results in a folder, from which an interrupted one goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from hvolab.arch import Architecture, Target
from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_explorer.exploration import Found
from hvolab_explorer.runs.configuration import Configuration
from hvolab_explorer.runs.results import ResultsFile
from hvolab_explorer.runs.run import Explored
from hvolab_explorer.runs.units import OnExplored, Unit, explore_units

#: File of the results in the folder of a campaign.
RESULTS = "results.jsonl"
#: What differs between targets in the text of one finding: registers of a fault, addresses and entries, level names.
_OF_A_TARGET = re.compile(r" \([a-z0-9_]+=0x[^)]*\)|0x[0-9a-f]+|\blevel \w+|\bPFN \w+")


def targets_of(
    arch: str | None, mode: str | None, profile: str | None, release: str | None, features: tuple[str, ...] = ()
) -> list[Target]:
    """Return the targets of a campaign; None: every architecture that a plugin describes, every release that it has.

    Raises UsageError for a name that is not declared.
    """
    known = registry()
    chosen: Iterable[Architecture] = known.architectures().values() if arch is None else [known.architecture(arch)]
    return [
        architecture.select(mode, profile=profile, release=each, features=features)
        for architecture in chosen
        for each in (architecture.offered if release is None else (release,))
    ]


class Campaign:
    """Units, and the folder in which their results are kept; None: nowhere.

    explored  results by number of the unit, those in the folder at first
    """

    def __init__(self, units: Sequence[Unit], folder: Path | None = None) -> None:
        self.units = units
        self._file = None if folder is None else _results_in(folder)
        self.explored: dict[int, Explored] = {}
        for number, unit in enumerate(units):
            if self._file is not None and (explored := self._file.find(unit)) is not None:
                self.explored[number] = explored

    def run(self, executor: Executor | None, on_explored: OnExplored = lambda *_: None) -> None:
        """Explore the units whose result is not in the folder yet; raises KeyboardInterrupt as `explore_units` does."""
        todo = [number for number in range(len(self.units)) if number not in self.explored]

        def add(place: int, explored: Explored) -> None:
            number = todo[place]
            if self._file is not None:
                self._file.add(self.units[number], explored)
            self.explored[number] = explored
            on_explored(number, explored)

        explore_units([self.units[number] for number in todo], executor, add)

    def results(self) -> list[Explored]:
        """Return the results until now, in the order of the units."""
        return [explored for _, explored in sorted(self.explored.items())]


def _results_in(folder: Path) -> ResultsFile:
    """Return the results in a folder, which is made if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"no campaign can be kept in {folder}: {error}", hint="name a folder") from error
    return ResultsFile(folder / RESULTS)


@dataclass
class MergedFinding:
    """One finding on all targets that have it.

    found          the first of them
    schedule       its schedule as a string
    configuration  its configuration
    targets        architecture and release of each target
    """

    found: Found
    schedule: str
    configuration: Configuration
    targets: list[str] = field(default_factory=list)


@dataclass
class MergedResult:
    """Results of one configuration on all targets.

    name        its name, or its actors
    targets     number of targets
    schedules   schedules on all of them
    classes     keys of the different classes
    complete    number of targets on which it is complete
    incomplete  targets on which it is not, by reason
    findings    the different findings
    """

    name: str
    targets: int = 0
    schedules: int = 0
    classes: set[int] = field(default_factory=set)
    complete: int = 0
    incomplete: dict[str, list[str]] = field(default_factory=dict)
    findings: dict[str, MergedFinding] = field(default_factory=dict)

    def add(self, explored: Explored) -> None:
        """Add the result on one target."""
        result, target = explored.result, f"{explored.target.architecture.name} {explored.target.release}"
        self.targets += 1
        self.schedules += result.schedules
        self.classes |= result.classes
        self.complete += result.complete
        if not result.complete:
            self.incomplete.setdefault(result.incomplete, []).append(target)
        for found, schedule in zip(explored.findings, explored.schedules, strict=True):
            new = MergedFinding(found, schedule, explored.configuration)
            self.findings.setdefault(finding_key(found.text), new).targets.append(target)


def finding_key(text: str) -> str:
    """Return what one finding has in common on all targets: its text without addresses, entries and registers."""
    return _OF_A_TARGET.sub("", text)


def merge(explored: Iterable[Explored]) -> list[MergedResult]:
    """Return the results by configuration, in the order of the first of each."""
    merged: dict[str, MergedResult] = {}
    for one in explored:
        name = one.configuration.name or ", ".join(map(str, one.configuration.actors))
        merged.setdefault(name, MergedResult(name)).add(one)
    return list(merged.values())
