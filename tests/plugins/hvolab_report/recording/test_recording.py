# SPDX-License-Identifier: GPL-2.0-only
"""Recording of a run: steps, stages, folios and findings."""

from __future__ import annotations

from dataclasses import replace

from hvolab.invariants import Finding
from hvolab.invariants.rules.mapping import REMAPPED
from hvolab.machine import MachineSpec
from hvolab.trace import AllFlushed
from hvolab_report.recording.recording import Mark, Recording
from tests.machines import pools
from tests.plugins.hvolab_report.runs import MIB, recording


def test_a_run_is_recorded_from_boot_to_the_end() -> None:
    marks = [step.event.text for step in recording().steps if isinstance(step.event, Mark)]
    assert marks == ["at rest: boot", "optimize", "at rest: optimized", "shrink", "at rest: restored"]
    assert [folio.order for folio in recording().folios.values()] == [9, 9]
    assert all(folio.view.pages == 8 for folio in recording().folios.values())


def test_the_frames_that_are_free_are_counted_after_each_step() -> None:
    steps = recording().steps
    freed = next(number for number, step in enumerate(steps) if step.event.name == "page.free")
    before, after = steps[freed - 1].free_frames, steps[freed].free_frames
    assert before is not None
    assert after is not None
    assert after > before


def test_findings_belong_to_the_event_that_the_monitor_saw_before_them() -> None:
    machine = pools(MachineSpec(memory=256 * MIB)).machine
    finding = Finding(REMAPPED, "what", "where")

    class Monitor:
        findings: list[Finding] = []  # noqa: RUF012 - one test, one list

    made = Recording(machine, Monitor(), "voice")  # type: ignore[arg-type]
    machine.trace.emit(AllFlushed())
    Monitor.findings.append(finding)
    machine.trace.emit(AllFlushed())
    made.mark("at rest", [replace(finding, what="other")])
    made.close()
    machine.trace.emit(AllFlushed())
    assert [[found.what for found in step.findings] for step in made.steps] == [["what"], [], ["other"]]
