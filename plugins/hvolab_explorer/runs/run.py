# SPDX-License-Identifier: GPL-2.0-only
"""Configurations selected by options, explored or replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hvolab.arch import Target
from hvolab.cli.options import engine_of
from hvolab.errors import UsageError, choice_hint
from hvolab.scenario import Recorder
from hvolab_explorer.exploration import Found, Limits, Prevention, Result, explore
from hvolab_explorer.runs.configuration import READY, Configuration, parse_actors
from hvolab_explorer.runs.prevention import find_prevention
from hvolab_explorer.runs.recorded_replay import RecordedReplay
from hvolab_explorer.runs.shrink import replay, shrink
from hvolab_explorer.runs.story import in_words, remedies_in_words
from hvolab_explorer.schedule import Replay, hash_of, points_of, read_schedule, write_schedule
from hvolab_explorer.search.spec import SearchSpec
from hvolab_explorer.steps.actor import Step
from hvolab_explorer.world.code import CodeEngine, CodeEngineMaker
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import WorldProgram

#: Kinds of allocations; the first is that of the ready configurations.
ALLOCATION_KINDS = ("per-cpu", "ordered")


@dataclass(frozen=True)
class Explored:
    """One configuration on one target, and what its exploration found.

    findings   the findings, shrunk
    schedules  their schedules as strings
    """

    configuration: Configuration
    target: Target
    result: Result
    findings: list[Found]
    schedules: list[str]


@dataclass(frozen=True)
class Repeated:
    """One schedule that was repeated.

    log         its steps
    texts       its findings
    prevention  the last step that another order could replace; None: nothing is found
    """

    configuration: Configuration
    target: Target
    log: tuple[Step, ...]
    texts: list[str]
    prevention: Prevention | None = None


def world_options(
    own: WorldOptions, fail: int | None = None, allocations: str = ALLOCATION_KINDS[0], *, poison: bool = False
) -> WorldOptions:
    """Return choices about allocations: those of a configuration, and what is chosen besides.

    fail  allocations that may fail; None: as many as its own
    """
    if allocations not in ALLOCATION_KINDS:
        hint = choice_hint(allocations, ALLOCATION_KINDS)
        raise UsageError(f"unknown kind of allocations {allocations!r}", hint=hint)
    failures, ordered = own.failures if fail is None else fail, own.ordered or allocations == "ordered"
    return replace(own, failures=failures, ordered=ordered, poisoned=own.poisoned or poison)


def select(
    actors: str | None,
    options: Callable[[WorldOptions], WorldOptions] | None = None,
    *,
    split: bool = False,
    code: CodeEngine | None = None,
) -> list[Configuration]:
    """Return the configuration of --actors, or the ready ones, for the model or for code.

    options  returns the choices about allocations, given those of a configuration; None: its own. Of ready ones that
             are alike then, the first remains.
    """
    chosen = READY if actors is None else (Configuration("", "", parse_actors(actors)),)
    found: dict[object, Configuration] = {}
    for own in chosen:
        made = own.options if options is None else options(own.options)
        one = replace(own, split=own.split or split, options=made, code=code)
        found.setdefault((one.actors, one.split, one.options), one)
    return list(found.values())


def code_engine(name: str, image: Path | None, object_file: Path | None, release: str | None) -> CodeEngine | None:
    """Return the engine that --engine, --image and --object name, None for the model.

    Raises UsageError for an engine whose code cannot be explored, and as the engine's maker does.
    """
    maker = engine_of(name, image)
    if maker is None:
        if object_file is not None:
            raise UsageError("--object requires --engine kernel", hint="add --engine kernel and --image")
        return None
    if not isinstance(maker, CodeEngineMaker):
        raise UsageError(
            f"the steps of the engine {name} are not known",
            rule="hvolab interleaves its own engine and a kernel's code",
            hint="choose --engine model or kernel; for an engine in Python use the pytest fixture explore",
        )
    return maker.explored(image, object_file, release)


def run(configuration: Configuration, target: Target, search: SearchSpec, seconds: float) -> Explored:
    """Explore a configuration up to its first finding, which is repeated and shrunk.

    A ready one that the target does not allow is not complete, for that reason; for the user's own, UsageError is
    raised.
    """
    try:
        program = configuration.program(target)
        program.actors()
    except UsageError as error:
        if configuration.name:
            return Explored(configuration, target, Result(incomplete=error.what), [], [])
        raise
    result = explore(program, search.make(), Limits(seconds=seconds))
    shrunk = [shrink(program, replay(program, one)) for one in list(result.findings.values())[:1]]
    found = [replace(one, prevention=find_prevention(program, one)) for one in shrunk]
    schedules = [_schedule(program, configuration.text(target), one) for one in found]
    return Explored(configuration, target, result, found, schedules)


def _schedule(program: WorldProgram, configuration: str, found: Found) -> str:
    """Return the schedule of a finding as a string."""
    if program.world.code is None:
        return write_schedule(configuration, found.log)
    return write_schedule(configuration, *program.world.code.portable(replay(program, found).log))


def repeat(
    configurations: list[Configuration], target: Target, schedule: str | None, recorder: Recorder | None = None
) -> Repeated:
    """Run a schedule of one of the configurations; raises UsageError if it is of none of them.

    schedule  the schedule; None: the actors run one after the other
    recorder  recorder of its steps; None: they are not recorded
    """
    configuration = configurations[0] if schedule is None else _configuration_of(schedule, configurations, target)
    segments = [] if schedule is None else read_schedule(schedule, configuration.text(target))
    program = configuration.program(target)
    if program.world.code is not None:
        program.world.code.use_points(points_of(schedule or ""))
    once, search = Limits(schedules=1, first_finding=False, refines=False), Replay(segments)
    result = explore(program, search, once)
    if not search.exact:
        raise UsageError("the schedule does not fit: an actor cannot go on where it says so", hint="copy it whole")
    log = tuple(program.scheduler.log)
    prevention = None
    for found in list(result.findings.values())[:1]:
        prevention = find_prevention(program, found)
    if recorder is not None:
        names = list(map(str, configuration.actors))
        recorded = RecordedReplay(segments, program.world, names, recorder, _notes(configuration, log, prevention))
        recorded.end(list(explore(program, recorded, once).findings))
    return Repeated(configuration, target, log, list(result.findings), prevention)


def _configuration_of(schedule: str, configurations: Sequence[Configuration], target: Target) -> Configuration:
    """Return the configuration of a schedule; raises UsageError where it is of none of several."""
    wanted, separator, _ = schedule.partition(":")
    for one in configurations:
        if hash_of(one.text(target)) == wanted.strip():
            return one
    if separator and len(configurations) > 1:
        raise UsageError(
            f"the schedule is of none of the ready configurations on {target}: {wanted.strip()}",
            hint="give --actors and the other options of the run that printed it",
        )
    return configurations[0]


def _notes(configuration: Configuration, log: Sequence[Step], prevention: Prevention | None) -> dict[int, str]:
    """Return the note on what prevents a finding, by the number of the log entry of the step that it is shown with."""
    if prevention is None or prevention.step is None:
        return {}
    steps = (place for place in range(prevention.step, -1, -1) if log[place].choice is None)  # a choice is in a step
    return {next(steps): "; ".join((in_words(prevention, configuration), *remedies_in_words(prevention, log)))}


def record_first(explored: Sequence[Explored], target: Target, recorder: Recorder) -> None:
    """Repeat the first finding with a recorder; without one, the actors of the first configuration in order."""
    for one in explored:
        for schedule in one.schedules[:1]:
            repeat([one.configuration], target, schedule, recorder)
            return
    for one in explored[:1]:
        repeat([one.configuration], target, None, recorder)
