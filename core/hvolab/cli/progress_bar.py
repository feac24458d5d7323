# SPDX-License-Identifier: GPL-2.0-only
"""Progress of work whose size is known: a bar with rate and time left; `hvolab.cli.output` has it for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress
from rich.text import Text

from hvolab.cli.output import console, shown_later

#: Takes the number of units done, the number of all of them, and a text.
OnUnits = Callable[[int, float, str], None]


class _Rate(progress.ProgressColumn):
    """Units a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: progress.Task) -> Text:
        """Return the text of the column."""
        return Text(f"{task.speed:.3g} {self._unit}/s" if task.speed else "")


@contextmanager
def progress_bar(unit: str) -> Iterator[OnUnits]:
    """Show a bar on standard error, where that is a terminal and the work takes more than a second.

    unit  plural name of what is counted
    Yields the function that takes the number of units done, of how many, and a text in front of the bar.
    """
    error = console(error=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn(f"{{task.completed}} {unit}"),
        _Rate(unit),
        progress.TimeRemainingColumn(compact=True),
        progress.TextColumn("left"),
    )
    bar = progress.Progress(*columns, console=error, transient=True)
    task = bar.add_task("", total=None)
    if not error.is_terminal:
        yield lambda _, __, ___: None
        return
    with shown_later(bar):
        yield lambda done, total, text: bar.update(task, completed=done, total=total, description=text)
