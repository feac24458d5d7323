# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab explore`: verdicts, and findings as stories with a lane for each actor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hvolab.arch import Target
from hvolab.cli.options import target_as_dict, target_in_words
from hvolab.cli.output import console, print_json, table
from hvolab.cli.output import show as show_table
from hvolab_explorer.runs.configuration import READY, Configuration, all_kinds
from hvolab_explorer.runs.run import Explored, Repeated
from hvolab_explorer.runs.story import story
from hvolab_explorer.steps.actor import Step


def show_vocabulary(*, json: bool) -> None:
    """Show the ready configurations and the actors."""
    if json:
        ready = [{"name": one.name, "actors": _actors(one), "sentence": one.sentence} for one in READY]
        kinds = [{"name": one.name, "arguments": one.arguments, "summary": one.summary} for one in all_kinds().values()]
        print_json({"configurations": ready, "actors": kinds})
        return
    made = table("configuration", "actors", "explores")
    for configuration in READY:
        made.add_row(configuration.name, _actors(configuration), configuration.sentence)
    show_table(made)
    console().print()
    made = table("actor", "arguments", "does")
    for kind in all_kinds().values():
        made.add_row(kind.name, kind.arguments, kind.summary)
    show_table(made)


def show(explored: Sequence[Explored], target: Target, *, json: bool) -> None:
    """Show verdicts, then each finding with its schedule and story, then the assumptions."""
    if json:
        print_json({"target": target_as_dict(target), "configurations": [_as_dict(one) for one in explored]})
        return
    out = console()
    out.print(target_in_words(target))
    names = [one.configuration.name or _actors(one.configuration) for one in explored]
    width = max(map(len, names), default=0)
    for name, one in zip(names, explored, strict=True):
        out.print(f"{name:<{width}}  {one.result.verdict} ({one.result.schedules} schedules)", soft_wrap=True)
    for one in explored:
        for found, schedule in zip(one.findings, one.schedules, strict=True):
            out.print(f"\nfinding in schedule {found.schedule} of {_actors(one.configuration)}: {found.text}")
            out.print(f"schedule: {schedule}", soft_wrap=True)
            show_table(story(one.configuration, found.log))
    whole = [one.configuration for one in explored if one.result.complete]
    assumptions = dict.fromkeys(text for configuration in whole for text in configuration.assumptions())
    if whole:
        out.print("\ncomplete: every class of schedules was explored, assuming that")
    for text in assumptions:
        out.print(f"- {text}", soft_wrap=True)


def show_replay(repeated: Repeated, *, json: bool) -> bool:
    """Show a schedule that was repeated; return True if it has a finding."""
    if json:
        data = {"actors": _actors(repeated.configuration), "findings": repeated.texts, "steps": _steps(repeated.log)}
        print_json({"target": target_as_dict(repeated.target), **data})
        return bool(repeated.texts)
    out = console()
    show_table(story(repeated.configuration, repeated.log))
    out.print(*(f"finding: {text}" for text in repeated.texts or ["none"]), sep="\n", soft_wrap=True)
    return bool(repeated.texts)


def show_files(files: Sequence[Path]) -> None:
    """Show the names of the files that were written."""
    for file in files:
        console().print(f"written          {file}", soft_wrap=True)


def _actors(configuration: Configuration) -> str:
    return ", ".join(map(str, configuration.actors))


def _as_dict(one: Explored) -> dict[str, object]:
    """Return one configuration as data."""
    findings = [
        {"text": found.text, "in_schedule": found.schedule, "schedule": schedule, "steps": _steps(found.log)}
        for found, schedule in zip(one.findings, one.schedules, strict=True)
    ]
    return {
        "name": one.configuration.name,
        "actors": _actors(one.configuration),
        "complete": one.result.complete,
        "verdict": one.result.verdict,
        "classes": len(one.result.classes),
        "schedules": one.result.schedules,
        "pruned": one.result.pruned,
        "assumptions": one.configuration.assumptions(),
        "findings": findings,
    }


def _steps(log: Sequence[Step]) -> list[dict[str, object]]:
    return [{"actor": step.actor, "text": step.text, "choice": step.choice} for step in log]
