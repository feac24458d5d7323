# SPDX-License-Identifier: GPL-2.0-only
"""Story of a schedule: its steps from top to bottom, with a lane for each actor, and the step that decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group

from hvolab.cli.output import table
from hvolab_explorer.exploration import Prevention
from hvolab_explorer.runs.configuration import Configuration
from hvolab_explorer.runs.remedies import KINDS
from hvolab_explorer.steps.actor import Step

#: What marks the last step that another order can replace.
_MARK = "»"
#: Steps of one actor in a row that are shown, the last ones; the first is shown too.
_SHOWN = 4


def story(configuration: Configuration, log: Sequence[Step], prevention: Prevention | None = None) -> Group:
    """Return the steps as a table with a column for each actor, and what is known about the step that is marked."""
    made = table(*(f"CPU{number}: {actor}" for number, actor in enumerate(configuration.actors)))
    for actor, text in _lines(log, None if prevention is None else prevention.step):
        made.add_row(*(text if number == actor else "" for number in range(len(configuration.actors))))
    known = in_words(prevention, configuration)
    marked = prevention is not None and prevention.step is not None
    return Group(
        made, *([f"{_MARK} {known}" if marked else known] if known else []), *remedies_in_words(prevention, log)
    )


def remedies_in_words(prevention: Prevention | None, log: Sequence[Step]) -> list[str]:
    """Return what prevents a finding in the order of its schedule, in a line each; empty: nothing was looked for."""
    if prevention is None or prevention.remedies is None:
        return []
    lines = [
        f"with {KINDS[one.what].format(cpu=f'CPU{one.actor}')} "
        + " and ".join(
            f'{where} "{log[at].text}" of CPU{log[at].actor}'
            for where, at in (("after", one.after), ("before", one.before))
            if at is not None
        )
        + ", nothing is found"
        for one in prevention.remedies
    ]
    return lines or ["no TLB flush, grace period or barrier between two of its steps prevents it"]


def in_words(prevention: Prevention | None, configuration: Configuration) -> str:
    """Return what is known about the last step that another order can replace; empty: nothing was looked for."""
    if prevention is None or not (prevention.tried or prevention.instead):
        return ""
    tried = f"{prevention.tried} orders were tried, and each has a finding"
    if prevention.step is None:
        return f"no step that another order can replace: {tried}" if prevention.whole else f"not decided: {tried}"
    instead = ", then ".join(str(configuration.actors[actor]) for actor in prevention.instead)
    after = f"; after it {tried}" * bool(prevention.tried)
    replaced = f"with {instead} in its place, each to its end, nothing is found"
    held = ", ".join(f"CPU{actor} {' and '.join(locks) or 'none'}" for actor, locks in enumerate(prevention.locks))
    return f"last step that another order can replace: {replaced}{after}" + f"; locks before it: {held}" * bool(held)


def _lines(log: Sequence[Step], marked: int | None) -> Iterator[tuple[int, str]]:
    """Yield the actor and text of each line; the middle of a long run of one actor's steps is one line."""
    for actor, group in groupby(enumerate(log), key=lambda numbered: numbered[1].actor):
        steps = [
            (f"{_MARK} {step.text}", True) if number == marked else (step.text, False)
            for number, step in group
            if step.choice != 0
        ]
        yield from ((actor, text) for text in _shortened(steps))


def _shortened(steps: Sequence[tuple[str, bool]]) -> Iterator[str]:
    """Yield the texts of a run of steps, what is in the middle as one line; a marked step is shown."""
    kept = {0, *range(len(steps) - _SHOWN, len(steps)), *(at for at, (_, marked) in enumerate(steps) if marked)}
    for is_kept, group in groupby(enumerate(steps), key=lambda numbered: numbered[0] in kept):
        texts = [text for _, (text, _) in group]
        yield from texts if is_kept or len(texts) == 1 else [f"... {len(texts)} more steps ..."]
