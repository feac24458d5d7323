# SPDX-License-Identifier: GPL-2.0-only
"""Runs of one object after another over the same image, each reported with the changes since the one before."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.text import Text

from hvolab.cli.errors import show_error
from hvolab.cli.output import console, show
from hvolab.errors import HvolabError
from hvolab.executors import executor_of
from hvolab_kernel.build.objects import BuiltObject, ObjectBuilder
from hvolab_kernel.build.watch import stamps, wait_for_change, watched
from hvolab_kernel.commands.compare import PreparedComparison, Selection, Subject, prepare
from hvolab_kernel.comparison.changes import ComparisonChanges, changes_between, changes_text
from hvolab_kernel.comparison.comparer import KernelComparison
from hvolab_kernel.comparison.report import comparison_view
from hvolab_kernel.comparison.sweep import SCENARIOS_EACH


class RunHistory:
    """Runs of objects over one image, in the same processes.

    subject    the subject without an object
    selection  selection of the cases
    count      runs until now
    result     the result of the last one; None before it
    """

    def __init__(self, subject: Subject, selection: Selection, jobs: int | None, address: str | None) -> None:
        self.subject = subject
        self.selection = selection
        self.count = 0
        self.result: KernelComparison[Any] | None = None
        self._object: Path | None = None
        self._jobs, self._address = jobs, address
        self._stack = ExitStack()
        self._executors: list[Executor | None] = []

    def __enter__(self) -> Self:
        """Start nothing yet: the processes start with the first run."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        self._stack.__exit__(kind, error, trace)

    def compare(
        self, path: Path, before: Path | None = None
    ) -> tuple[PreparedComparison, KernelComparison[Any], ComparisonChanges]:
        """Run an object over the image; return the result, and the changes since the last.

        before  object that is the reference, in place of the image's own code

        Raises as `prepare` does.
        """
        prepared = prepare(replace(self.subject, object=path, before=before), self.selection)
        if not self._executors:
            made = executor_of(len(prepared.scenarios), self._jobs, self._address, SCENARIOS_EACH)
            self._executors.append(self._stack.enter_context(made))
        result = prepared.run(self._executors[0])
        changes = changes_between(self.result, result)
        self.result, self._object = result, path
        self.count += 1
        return prepared, result, changes

    def run(self, built: BuiltObject) -> bool:
        """Compare with an object, and print the report; return True if nothing differs, and no rule is broken."""
        begun = time.perf_counter()
        same, first = built.path == self._object, self.result is None
        if same and self.result is not None:
            show(Text("The object is that of the last run.", "dim"))
            return self.result.clean
        prepared, result, changes = self.compare(built.path)
        seconds = built.seconds + time.perf_counter() - begun
        parts: list[RenderableType] = [Text(built.messages)] if built.messages else []
        if not first:
            parts += [Text("since the last run:", "bold"), changes_text(changes)]
        done = (
            f"{datetime.now().astimezone():%H:%M:%S}: {seconds:.1f} s, of which the compiler took {built.seconds:.1f} s"
        )
        show(Group(*parts, comparison_view(prepared.comparer.kernel, prepared.comparer, result), Text(done, "dim")))
        return result.clean


def repeat(history: RunHistory, builder: ObjectBuilder, source: Path) -> None:
    """Build and compare a file at each of its changes, until the user interrupts it.

    Raises KeyboardInterrupt with the number of runs.
    """
    try:
        while True:
            before = stamps(watched(source))
            try:
                history.run(builder.build(source))
            except HvolabError as error:
                show_error(error)
            console(error=True).print(Text(f"waiting for a change of {source}; Ctrl-C ends", "dim"))
            wait_for_change(before)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"{history.count} runs of {source.name}") from interrupt
