# SPDX-License-Identifier: GPL-2.0-only
"""The trace for ui.perfetto.dev, read back by the classes of the format's own package."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

import pytest

from tests.plugins.hvolab_report.runs import data, recording

pytest.importorskip("perfetto", reason="no perfetto: pip install 'hvolab[report]'")
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from hvolab_report.perfetto_trace.tracks import perfetto_of


@cache
def packets() -> list[Any]:
    """The packets of a run's trace."""
    return list(Trace.FromString(perfetto_of(data())).packet)


def tracks() -> dict[str, int]:
    """Number of each track, by its name."""
    found = [packet.track_descriptor for packet in packets() if packet.HasField("track_descriptor")]
    return {each.name or each.process.process_name: each.uuid for each in found}


def events() -> list[tuple[int, str, Any]]:
    """Time, name and event of each packet that has one."""
    names: dict[int, str] = {}
    found = []
    for packet in packets():
        names.update({each.iid: each.name for each in packet.interned_data.event_names})
        if packet.HasField("track_event"):
            found.append((packet.timestamp, names.get(packet.track_event.name_iid, ""), packet.track_event))
    return found


def values(counter: str) -> list[int | None]:
    """The value of a counter after each step."""
    changes = {time // 1000: each.counter_value for time, _, each in events() if each.track_uuid == tracks()[counter]}
    found: list[int | None] = []
    for step in range(len(recording().steps)):
        found.append(changes.get(step, found[-1] if found else None))
    return found


def test_each_cpu_has_a_track_and_its_slices_nest() -> None:
    assert {"CPU 0", "CPU 1", "free frames", "frames saved", "stale translations"} < set(tracks())
    steps = 0
    for name in ("CPU 0", "CPU 1"):
        depth = time = 0
        for now, _, event in events():
            if event.track_uuid == tracks()[name] and event.type != TrackEvent.TYPE_INSTANT:
                depth += 1 if event.type == TrackEvent.TYPE_SLICE_BEGIN else -1
                steps += event.type == TrackEvent.TYPE_SLICE_BEGIN and len(event.categories)
                assert depth >= 0
                assert now >= time
                time = now
        assert depth == 0
    assert steps == len(recording().steps)
    assert "vmemmap_remap_free()" in {name for _, name, _ in events()}


def test_free_frames_and_stale_translations_are_those_of_each_step() -> None:
    assert values("free frames") == [step.free_frames for step in recording().steps]
    assert values("stale translations") == [step.stale for step in recording().steps]
    assert max(step.stale for step in recording().steps) > 0


def test_seven_frames_are_saved_for_each_of_two_folios_and_none_after_restoring() -> None:
    saved = values("frames saved")
    assert max(each for each in saved if each is not None) == 14
    assert (saved[0], saved[-1]) == (0, 0)


def test_a_flow_leads_from_a_store_to_its_flush_to_the_freeing_of_its_frames() -> None:
    parts: dict[int, list[str]] = defaultdict(list)
    for _, _, event in events():
        for flow in (*event.flow_ids, *event.terminating_flow_ids):
            parts[flow].append(event.categories[0])
    assert list(parts.values()) == [["entry.store", "flush.all", "page.free"]] * 2
    assert sum(len(event.terminating_flow_ids) for _, _, event in events()) == 2
