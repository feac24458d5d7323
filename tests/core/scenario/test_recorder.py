# SPDX-License-Identifier: GPL-2.0-only
"""A recorder of a scenario is given its machine before the first operation, and its stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hvolab.invariants import Finding, Monitor
from hvolab.machine import Machine
from hvolab.scenario import Recorder, ScenarioSpec, run_scenario
from tests.machines import x86_64


class Calls:
    """Recorder of the calls that it gets."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def watch(
        self,
        machine: Machine,
        monitor: Monitor | None = None,
        name: str = "",
        *,
        actors: Sequence[str] = (),
        running_cpu: Callable[[], int] | None = None,
    ) -> None:
        assert (actors, running_cpu) == ((), None)
        assert monitor is not None
        assert monitor.machine is machine
        self.made.append(f"watch {machine.key}{name}")

    def mark(self, text: str, findings: Iterable[Finding] = (), *, note: str = "") -> None:
        assert not note
        self.made.append(f"{text}: {len(list(findings))}")

    def write(self, path: Path) -> None:
        self.made.append(str(path))


def test_a_recorder_is_given_the_machine_and_the_stages() -> None:
    calls = Calls()
    recorder: Recorder = calls
    run_scenario(ScenarioSpec(x86_64(), memory=256 << 20, hugepages={2 << 20: 1}), recorder)
    assert calls.made == [
        "watch 0",
        "at rest: boot: 0",
        "optimize: 0",
        "at rest: optimized: 0",
        "shrink: 0",
        "at rest: restored: 0",
    ]
