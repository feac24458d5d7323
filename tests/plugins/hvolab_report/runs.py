# SPDX-License-Identifier: GPL-2.0-only
"""Recorded runs that several tests look at."""

from __future__ import annotations

from functools import cache
from typing import Any

from hvolab.scenario import ScenarioSpec, run_scenario
from hvolab_report.recording.recording import Recording
from hvolab_report.timeline.align import side_by_side
from hvolab_report.timeline.writer import StepsWriter
from tests.machines import x86_64

MIB = 1 << 20


@cache
def recorded(cpus: int = 2, fail_allocation: int | None = None) -> StepsWriter:
    """Two folios of 2 MiB on x86_64, optimized and restored."""
    writer = StepsWriter()
    pools = {2 * MIB: 2}
    spec = ScenarioSpec(x86_64(), memory=256 * MIB, cpus=cpus, hugepages=pools, fail_allocation=fail_allocation)
    run_scenario(spec, writer)
    writer.recordings[0].close()
    return writer


def recording() -> Recording:
    """The recording of that run."""
    return recorded().recordings[0]


@cache
def data() -> Any:
    """The data of that run's timeline, as JSON has them."""
    return recorded().data()


@cache
def failing() -> Any:
    """The data of the run on one CPU, in which the fourth allocation fails."""
    return recorded(1, 4).data()


@cache
def pair() -> Any:
    """The data of two voices: the run on one CPU, and the same with a failing allocation."""
    return side_by_side(recorded(1).data(), failing(), ("before", "after"))
