# SPDX-License-Identifier: GPL-2.0-only
"""Options for files about what happens on a command's machines, and the recorders that write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hvolab.errors import UsageError
from hvolab.plugin import registry

if TYPE_CHECKING:
    from hvolab.invariants import Finding, Monitor
    from hvolab.machine import Machine
    from hvolab.scenario import Recorder

HtmlOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the timeline, one HTML file that needs no network."),
]
TraceOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the recorded steps as JSON, for `hvolab report`.")
]
PerfettoOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a trace that ui.perfetto.dev opens.")]


class Reports:
    """The reports that the options of a command name, each by its kind; None: not wanted.

    A context: it yields the recorder for the command's machines, None if no report is wanted, and writes the reports at
    its end, unless an exception ends it.
    Raises UsageError for a kind that no plugin writes, for a missing library, and for a file in a missing folder.
    """

    def __init__(self, **files: Path | None) -> None:
        known, wanted = registry().reports(), {kind: file for kind, file in files.items() if file is not None}
        self._made: list[tuple[Recorder, Path]] = []
        for kind, file in wanted.items():
            if kind not in known:
                hint = "`hvolab plugins` lists the plugins and their problems"
                raise UsageError(f"no plugin writes reports of the kind {kind!r}", hint=hint)
            if not file.absolute().parent.is_dir():
                raise UsageError(f"cannot write {file}: the folder does not exist", hint="make the folder first")
            if file.is_dir():
                raise UsageError(f"cannot write {file}: it is a folder", hint="name a file in it")
            self._made.append((known[kind](), file))

    def __enter__(self) -> Recorder | None:
        return self if self._made else None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.write()

    def watch(
        self,
        machine: Machine,
        monitor: Monitor | None = None,
        name: str = "",
        *,
        actors: Sequence[str] = (),
        running_cpu: Callable[[], int] | None = None,
    ) -> None:
        """Let each recorder listen to a machine."""
        for recorder, _ in self._made:
            recorder.watch(machine, monitor, name, actors=actors, running_cpu=running_cpu)

    def mark(self, text: str, findings: Iterable[Finding] = (), *, note: str = "") -> None:
        """Add a stage to each recorder."""
        found = tuple(findings)
        for recorder, _ in self._made:
            recorder.mark(text, found, note=note)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, in the order of the options."""
        return tuple(file for _, file in self._made)

    def write(self, path: Path | None = None) -> None:
        """Write every report; ``path`` is ignored, as each has its own."""
        del path
        for recorder, file in self._made:
            recorder.write(file)
