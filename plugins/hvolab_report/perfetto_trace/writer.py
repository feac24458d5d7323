# SPDX-License-Identifier: GPL-2.0-only
"""Recorder that writes a trace for ui.perfetto.dev."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hvolab.files import write_bytes
from hvolab_report.extra import require
from hvolab_report.timeline.writer import Recorder


class PerfettoWriter(Recorder):
    """Writes a trace for ui.perfetto.dev; raises UsageError if perfetto is not installed."""

    def __init__(self) -> None:
        require("perfetto", "the trace for ui.perfetto.dev")
        super().__init__()

    def write(self, path: Path) -> None:
        """Write the file."""
        write_perfetto(path, self.data())


def write_perfetto(path: Path, data: Any) -> None:
    """Write the trace of data for ui.perfetto.dev; raises UsageError if perfetto is not installed."""
    require("perfetto", "the trace for ui.perfetto.dev")
    from hvolab_report.perfetto_trace.tracks import perfetto_of  # noqa: PLC0415 - imports perfetto

    write_bytes(path, perfetto_of(data))
