# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab report`: the timeline of saved steps, and the trace for Perfetto."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.reports import PerfettoOption
from hvolab.errors import UsageError


def report(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="Steps that --trace wrote, or a timeline.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="[OTHER]", help="A second recording, to show both side by side.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="The timeline to write.")] = None,
    perfetto: PerfettoOption = None,
) -> None:
    """Write the timeline, or a trace for ui.perfetto.dev, of steps that a command has saved with --trace.

    Two recordings are shown side by side.

    hvolab report steps.json --html steps.html

    hvolab report model.json kernel.json --html both.html

    hvolab report steps.json --perfetto steps.pftrace
    """
    from hvolab.cli.output import progress, show  # noqa: PLC0415 - imports rich
    from hvolab_report.perfetto_trace.writer import write_perfetto  # noqa: PLC0415
    from hvolab_report.timeline.align import first_difference, side_by_side  # noqa: PLC0415
    from hvolab_report.timeline.read import read_data  # noqa: PLC0415
    from hvolab_report.timeline.writer import write_page  # noqa: PLC0415

    if html is None and perfetto is None:
        raise UsageError("no file to write is named", hint="add --html FILE or --perfetto FILE")
    files = [(path, write) for path, write in ((html, write_page), (perfetto, write_perfetto)) if path is not None]
    with progress("read the steps") as on_step:
        data = read_data(trace)
        if other is not None:
            data = side_by_side(data, read_data(other), (trace.stem, other.stem))
        for path, write in files:
            on_step(f"write {path.name}")
            write(path, data)
    if other is not None:
        show(f"first difference {first_difference(data)}")
    for path, _ in files:
        show(f"written          {path}")
