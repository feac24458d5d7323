# SPDX-License-Identifier: GPL-2.0-only
"""Recorders that write files: the steps as JSON, and the timeline as a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from hvolab import __version__
from hvolab.files import write_text
from hvolab.invariants import Finding, Monitor
from hvolab.machine import Machine
from hvolab.serialize import as_data
from hvolab_report.extra import require
from hvolab_report.recording.recording import Recording
from hvolab_report.timeline.align import align
from hvolab_report.timeline.data import SCHEMA, VERSION, TimelineData
from hvolab_report.timeline.encode import VoiceEncoder
from hvolab_report.timeline.row_kinds import ROW_KINDS


class Recorder:
    """Records machines, a voice each; :class:`hvolab.scenario.Recorder` without the file."""

    def __init__(self) -> None:
        self.recordings: list[Recording] = []

    def watch(
        self,
        machine: Machine,
        monitor: Monitor | None = None,
        name: str = "",
        *,
        actors: Sequence[str] = (),
        running_cpu: Callable[[], int] | None = None,
    ) -> None:
        """Listen to a machine."""
        recording = Recording(machine, monitor, name)
        recording.cpu_names = dict(enumerate(actors))
        recording.running_cpu = running_cpu
        self.recordings.append(recording)

    def mark(self, text: str, findings: Iterable[Finding] = (), *, note: str = "") -> None:
        """Add a stage to the last voice."""
        self.recordings[-1].mark(text, findings, note=note)

    def data(self) -> Any:
        """Stop listening, and return what was recorded as JSON has it; two voices are aligned."""
        for recording in self.recordings:
            recording.close()
        voices = tuple(VoiceEncoder(recording).encode() for recording in self.recordings)
        title = " ".join(["hvolab", *sys.argv[1:]])
        return align(as_data(TimelineData(SCHEMA, VERSION, __version__, title, ROW_KINDS, voices, (), (), (), ())))


class StepsWriter(Recorder):
    """Writes the recorded steps as JSON."""

    def write(self, path: Path) -> None:
        """Write the file."""
        write_text(path, compact(self.data()) + "\n")


class TimelineWriter(Recorder):
    """Writes the timeline as one HTML file; raises UsageError if jinja2 is not installed."""

    def __init__(self) -> None:
        require("jinja2", "the timeline")
        super().__init__()

    def write(self, path: Path) -> None:
        """Write the file."""
        write_page(path, self.data())


def write_page(path: Path, data: Any) -> None:
    """Write the timeline of data as one HTML file; raises UsageError if jinja2 is not installed."""
    require("jinja2", "the timeline")
    from hvolab_report.timeline.page import page_of  # noqa: PLC0415 - imports jinja2

    write_text(path, page_of(data))


def compact(data: Any) -> str:
    """Return data as JSON without blanks."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)
