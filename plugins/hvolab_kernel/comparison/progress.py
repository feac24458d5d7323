# SPDX-License-Identifier: GPL-2.0-only
"""Progress of a comparison on a terminal: cases done, cases a second, and the time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich import progress
from rich.text import Text

from hvolab.cli.output import console
from hvolab_kernel.comparison.comparer import OnProgress


class _Rate(progress.ProgressColumn):
    """Cases a second."""

    def render(self, task: progress.Task) -> Text:
        """Return the text of the column."""
        return Text(f"{task.speed:.0f} cases/s" if task.speed else "")


@contextmanager
def show_progress(count: int) -> Iterator[OnProgress]:
    """Show a bar on a terminal; yields the function that takes the progress in so many scenarios."""
    error = console(error=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.completed} cases"),
        _Rate(),
        progress.TimeRemainingColumn(compact=True),
        progress.TextColumn("left"),
    )
    with progress.Progress(*columns, console=error, transient=True, disable=not error.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def on_progress(scenarios: int, cases: int, done: int) -> None:
            # scenarios that have not begun have as many cases as the others
            total = cases * count / scenarios
            bar.update(task, description=f"{scenarios} of {count} scenarios", completed=done, total=total)

        yield on_progress
