# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab report`: the timeline of saved steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab_report.extra import require


def report(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="Steps that --trace wrote, or a timeline.")],
    html: Annotated[Path, typer.Option(metavar="FILE", help="The timeline to write.")],
) -> None:
    """Write the timeline of steps that a command has saved with --trace.

    hvolab report steps.json --html steps.html
    """
    require("jinja2", "the timeline")
    from hvolab.cli.output import show  # noqa: PLC0415 - imports rich
    from hvolab_report.timeline.page import page_of  # noqa: PLC0415 - imports jinja2
    from hvolab_report.timeline.read import read_data  # noqa: PLC0415
    from hvolab_report.timeline.writer import write_text  # noqa: PLC0415

    write_text(html, page_of(read_data(trace)))
    show(f"written          {html}")
