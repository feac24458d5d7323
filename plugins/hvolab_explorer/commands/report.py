# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab explore`: verdicts, and findings as stories with a lane for each actor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hvolab.arch import Target
from hvolab.arch.target_data import TargetData, target_as_dict
from hvolab.cli.options import target_in_words
from hvolab.cli.output import console, print_json, table
from hvolab.cli.output import show as show_table
from hvolab_explorer.exploration import Prevention
from hvolab_explorer.runs.configuration import READY, Configuration, all_kinds, shared_assumptions
from hvolab_explorer.runs.run import Explored, Repeated
from hvolab_explorer.runs.story import story
from hvolab_explorer.steps.actor import Step


@dataclass(frozen=True)
class StepData:
    """Entry of a schedule: a step of an actor, or the alternative that was chosen within the step before it.

    actor   number of the actor
    choice  number of the alternative; None: this is a step
    """

    actor: int
    text: str
    choice: int | None


@dataclass(frozen=True)
class FindingData:
    """Finding of a configuration.

    text         what is wrong
    in_schedule  number of the schedule that found it, from 1 on
    schedule     the schedule, shrunk, for --replay
    steps        its steps
    prevention   the last of them that another order could replace
    """

    text: str
    in_schedule: int
    schedule: str
    steps: tuple[StepData, ...]
    prevention: Prevention | None


@dataclass(frozen=True)
class ExploredData:
    """Result of one configuration.

    name         of a ready one; empty: of --actors
    complete     whether every class of schedules was explored
    verdict      the result in words
    classes      number of different classes of the schedules that ran to their end
    schedules    schedules run
    pruned       those of them that were ended early, as their rest was known
    assumptions  what a complete search takes for granted
    """

    name: str
    actors: str
    complete: bool
    verdict: str
    classes: int
    schedules: int
    pruned: int
    assumptions: tuple[str, ...]
    findings: tuple[FindingData, ...]


@dataclass(frozen=True)
class ExploreReport:
    """Result of `hvolab explore`."""

    target: TargetData
    configurations: tuple[ExploredData, ...]


@dataclass(frozen=True)
class ScheduleReport:
    """Result of `hvolab explore --replay`: the schedule's actors, findings in words, and steps.

    prevention  the last step that another order could replace; None: nothing is found
    """

    target: TargetData
    actors: str
    findings: tuple[str, ...]
    steps: tuple[StepData, ...]
    prevention: Prevention | None


@dataclass(frozen=True)
class ReadyData:
    """A ready configuration: its name, its actors, and what it explores."""

    name: str
    actors: str
    sentence: str


@dataclass(frozen=True)
class ActorData:
    """A kind of actor: its name, the places that it takes, and what it does."""

    name: str
    arguments: str
    summary: str


@dataclass(frozen=True)
class VocabularyReport:
    """Result of `hvolab explore --list`: the ready configurations, and the actors."""

    configurations: tuple[ReadyData, ...]
    actors: tuple[ActorData, ...]


def show_vocabulary(*, json: bool) -> None:
    """Show the ready configurations and the actors."""
    if json:
        ready = tuple(ReadyData(one.name, _actors(one), one.sentence) for one in READY)
        kinds = tuple(ActorData(one.name, one.arguments, one.summary) for one in all_kinds().values())
        print_json(VocabularyReport(ready, kinds))
        return
    made = table("configuration", "options, and what is explored", wrapped=("options, and what is explored",))
    for configuration in READY:
        made.add_row(configuration.name, f"{_options(configuration)}\n{configuration.sentence}")
    show_table(made)
    console().print()
    made = table("actor", "arguments", "does", wrapped=("does",))
    for kind in all_kinds().values():
        made.add_row(kind.name, kind.arguments, kind.summary)
    show_table(made)


def show(explored: Sequence[Explored], target: Target, *, json: bool) -> None:
    """Show verdicts, then each finding with its schedule and story, then the assumptions."""
    if json:
        print_json(ExploreReport(TargetData(**target_as_dict(target)), tuple(map(_explored_data, explored))))
        return
    out = console()
    out.print(target_in_words(target))
    names = [one.configuration.name or _actors(one.configuration) for one in explored]
    width = max(map(len, names), default=0)
    for name, one in zip(names, explored, strict=True):
        count = one.result.schedules
        out.print(f"{name:<{width}}  {one.result.verdict} ({count} schedule{'s' * (count != 1)})", soft_wrap=True)
    for one in explored:
        for found, schedule in zip(one.findings, one.schedules, strict=True):
            out.print(f"\nfinding in schedule {found.schedule} of {_actors(one.configuration)}: {found.text}")
            out.print(f"schedule: {schedule}", soft_wrap=True)
            show_table(story(one.configuration, found.log, found.prevention))
    whole = [one.configuration for one in explored if one.result.complete]
    quiet = [one.configuration for one in explored if not one.findings]
    if whole:
        out.print("\ncomplete: every class of schedules was explored, assuming that")
    elif quiet:
        out.print("\nnot complete: no finding in the schedules that ran, assuming that")
    for text in shared_assumptions(whole or quiet):
        out.print(f"- {text}", soft_wrap=True)


def show_replay(repeated: Repeated, *, json: bool) -> bool:
    """Show a schedule that was repeated; return True if it has a finding."""
    if json:
        target = TargetData(**target_as_dict(repeated.target))
        actors, findings = _actors(repeated.configuration), tuple(repeated.texts)
        print_json(ScheduleReport(target, actors, findings, _steps(repeated.log), repeated.prevention))
        return bool(repeated.texts)
    out = console()
    show_table(story(repeated.configuration, repeated.log, repeated.prevention))
    out.print(*(f"finding: {text}" for text in repeated.texts or ["none"]), sep="\n", soft_wrap=True)
    return bool(repeated.texts)


def show_files(files: Sequence[Path]) -> None:
    """Show the names of the files that were written."""
    for file in files:
        console().print(f"written          {file}", soft_wrap=True)


def _actors(configuration: Configuration) -> str:
    return ", ".join(map(str, configuration.actors))


def _options(configuration: Configuration) -> str:
    """Return the options of the command that name a ready configuration."""
    options = configuration.options
    fail = f" --fail {options.failures}" * bool(options.failures)
    return (
        f'--actors "{_actors(configuration)}"{" --split" * configuration.split}{fail}{" --poison" * options.poisoned}'
    )


def _explored_data(one: Explored) -> ExploredData:
    """Return one configuration for JSON."""
    return ExploredData(
        name=one.configuration.name,
        actors=_actors(one.configuration),
        complete=one.result.complete,
        verdict=one.result.verdict,
        classes=len(one.result.classes),
        schedules=one.result.schedules,
        pruned=one.result.pruned,
        assumptions=tuple(one.configuration.assumptions()),
        findings=tuple(
            FindingData(found.text, found.schedule, schedule, _steps(found.log), found.prevention)
            for found, schedule in zip(one.findings, one.schedules, strict=True)
        ),
    )


def _steps(log: Sequence[Step]) -> tuple[StepData, ...]:
    return tuple(StepData(*step) for step in log)
