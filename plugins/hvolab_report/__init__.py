# SPDX-License-Identifier: GPL-2.0-only
"""Reports of what happens on machines, step by step: a timeline in HTML, the steps as JSON, a trace for Perfetto.

`recording/` listens to machines and has their steps as data, `timeline/` makes pages of them, `perfetto_trace/` traces,
and `commands/` is `hvolab report`. The package can be imported without jinja2 and perfetto; writing a page or a trace
needs the extra `report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hvolab.plugin import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import typer


@hookimpl
def hvolab_reports() -> Mapping[str, Callable[[], Any]]:
    """Add the timeline (`html`), the recorded steps (`trace`), and the trace for Perfetto (`perfetto`)."""
    return {"html": _timeline, "perfetto": _perfetto, "trace": _steps}


@hookimpl
def hvolab_commands(app: typer.Typer) -> None:
    """Add `hvolab report`."""
    from hvolab_report.commands.report import report  # noqa: PLC0415 - typer is needed for a command line alone

    app.command("report")(report)


def _timeline() -> Any:
    from hvolab_report.timeline.writer import TimelineWriter  # noqa: PLC0415 - takes the machine's package

    return TimelineWriter()


def _perfetto() -> Any:
    from hvolab_report.perfetto_trace.writer import PerfettoWriter  # noqa: PLC0415 - the same

    return PerfettoWriter()


def _steps() -> Any:
    from hvolab_report.timeline.writer import StepsWriter  # noqa: PLC0415 - the same

    return StepsWriter()
