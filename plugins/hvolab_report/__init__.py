# SPDX-License-Identifier: GPL-2.0-only
"""Reports of what happens on machines, step by step: the timeline as one HTML file, and the steps as JSON.

`recording/` listens to machines and has their steps as data, `timeline/` makes pages of them, and `commands/` is
`hvolab report`. The package can be imported without jinja2; writing a page needs the extra `report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import typer


@hookimpl
def hvolab_reports() -> Mapping[str, Callable[[], Any]]:
    """Add the timeline (`html`) and the recorded steps (`trace`)."""
    return {"html": _timeline, "trace": _steps}


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab report`."""
    from hvolab_report.commands.report import report  # noqa: PLC0415 - typer is needed for a command line alone

    app.command("report")(report)


def _timeline() -> Any:
    from hvolab_report.timeline.writer import TimelineWriter  # noqa: PLC0415 - takes the machine's package

    return TimelineWriter()


def _steps() -> Any:
    from hvolab_report.timeline.writer import StepsWriter  # noqa: PLC0415 - the same

    return StepsWriter()
