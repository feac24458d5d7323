# SPDX-License-Identifier: GPL-2.0-only
"""Flows of frames from their store to their being freed."""

from __future__ import annotations

from hvolab_report.perfetto_trace.memory import FlowPart, Flows, Memory
from hvolab_report.perfetto_trace.steps import steps_of
from tests.plugins.hvolab_report.runs import data


def test_a_flow_ends_with_the_last_of_its_frames() -> None:
    flows = Flows()
    assert flows.unmap({7, 8}, 0x1000, 0x3000) == FlowPart((1,))
    assert flows.flush(0x2000, 0x3000) == FlowPart()
    assert flows.flush(0x1000, 0x3000) == FlowPart((1,))
    assert flows.flush(0x1000, 0x3000) == FlowPart()
    assert flows.free({8, 9}) == FlowPart((1,))
    assert flows.free({7}) == FlowPart((), (1,))
    assert flows.free({7}) == FlowPart()


def test_a_frame_that_is_freed_without_a_flush_has_a_flow_without_one() -> None:
    flows = Flows()
    flows.unmap({7}, 0, 0x1000)
    assert flows.free({7}) == FlowPart((), (1,))
    assert flows.flush(0, 1 << 64) == FlowPart()


def test_a_store_that_leaves_every_frame_mapped_begins_no_flow() -> None:
    assert Flows().unmap(set(), 0, 0x1000) == FlowPart()


def test_a_machine_that_cannot_report_its_free_frames_has_no_such_counter() -> None:
    (voice,) = data()["voices"]
    memory = Memory({**voice, "free_frames": ()})
    for step in steps_of(voice):
        memory.advance(step)
        assert memory.free is None
