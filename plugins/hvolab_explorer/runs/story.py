# SPDX-License-Identifier: GPL-2.0-only
"""Story of a schedule: its steps from top to bottom, with a lane for each actor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.table import Table

from hvolab.cli.output import table
from hvolab_explorer.runs.configuration import Configuration
from hvolab_explorer.steps.actor import Step

#: Steps of one actor in a row that are shown, the last ones; the first is shown too.
_SHOWN = 4


def story(configuration: Configuration, log: Sequence[Step]) -> Table:
    """Return the steps as a table with a column for each actor."""
    made = table(*(f"CPU{number}: {actor}" for number, actor in enumerate(configuration.actors)))
    for actor, text in _lines(log):
        made.add_row(*(text if number == actor else "" for number in range(len(configuration.actors))))
    return made


def _lines(log: Sequence[Step]) -> Iterator[tuple[int, str]]:
    """Yield the actor and text of each line; the middle of a long run of one actor's steps is one line."""
    for actor, group in groupby(log, key=lambda step: step.actor):
        texts = [step.text for step in group if step.choice != 0]
        if len(texts) > _SHOWN + 2:
            left_out = len(texts) - _SHOWN - 1
            texts = [texts[0], f"... {left_out} more steps ...", *texts[-_SHOWN:]]
        yield from ((actor, text) for text in texts)
