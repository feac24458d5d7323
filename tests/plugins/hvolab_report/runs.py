# SPDX-License-Identifier: GPL-2.0-only
"""Recorded runs that several tests look at."""

from __future__ import annotations

from functools import cache
from typing import Any

from hvolab.scenario import ScenarioSpec, run_scenario
from hvolab.serialize import as_data
from hvolab_report.recording.recording import Recording
from hvolab_report.timeline.writer import StepsWriter
from tests.machines import x86_64

MIB = 1 << 20


@cache
def recorded(cpus: int = 2) -> StepsWriter:
    """Two folios of 2 MiB on x86_64, optimized and restored."""
    writer = StepsWriter()
    run_scenario(ScenarioSpec(x86_64(), memory=256 * MIB, cpus=cpus, hugepages={2 * MIB: 2}), writer)
    writer.recordings[0].close()
    return writer


def recording() -> Recording:
    """The recording of that run."""
    return recorded().recordings[0]


@cache
def data() -> Any:
    """The data of that run's timeline, as JSON has them."""
    return as_data(recorded().data())
