# SPDX-License-Identifier: GPL-2.0-only
"""A timeline's data as a trace of Perfetto: tracks for CPUs, counters, and flows.

Steps have no times: step N begins at N microseconds, and takes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    CounterDescriptor,
    TracePacket,
    TrackDescriptor,
    TrackEvent,
)
from perfetto.trace_builder.proto_builder import TraceProtoBuilder

from hvolab_report.perfetto_trace.memory import FlowPart, Memory
from hvolab_report.perfetto_trace.steps import SavedStep, label, steps_of

#: Nanoseconds from step to step; a step's slice ends first, then the calls that end with it.
_STEP, _SLICE, _CALL = 1000, 800, 900
#: Numbers of tracks of a voice: its process, its counters, its CPUs.
_VOICE, _COUNTER, _CPU = 1 << 20, 1, 1 << 10
_FLOW: Final = 1 << 40
_COUNTERS: Final = {"free frames": "free", "frames saved": "saved", "stale translations": "stale"}


def perfetto_of(data: Any) -> bytes:
    """Return the trace of a timeline's data."""
    builder = TraceProtoBuilder()
    for number, voice in enumerate(data["voices"], start=1):
        _VoiceTracks(builder, number, voice).add()
    made: bytes = builder.serialize()
    return made


class _VoiceTracks:
    """The tracks of one machine, as a process: a track for each CPU, and counters."""

    def __init__(self, builder: TraceProtoBuilder, number: int, voice: Any) -> None:
        self._builder = builder
        self._number = number
        self._voice = voice
        self._names: dict[str, int] = {}
        self._open: list[tuple[int, int]] = []
        self._cpu = 0
        self._shown: dict[str, int | None] = {}

    def add(self) -> None:
        """Add all packets."""
        self._describe()
        memory, step, end = Memory(self._voice), None, 0
        for step in steps_of(self._voice):
            self._enter(step, end)
            self._add_step(step, memory.advance(step))
            self._count(step, memory)
            end = step.number * _STEP + _CALL
        self._leave(0, end)

    def _packet(self, time: int) -> TracePacket:
        packet = self._builder.add_packet()
        packet.timestamp = time
        packet.trusted_packet_sequence_id = self._number
        packet.sequence_flags = TracePacket.SEQ_NEEDS_INCREMENTAL_STATE
        return packet

    def _describe(self) -> None:
        """Add the descriptors of the tracks."""
        voice, first = self._voice, self._number * _VOICE
        for number, descriptor in enumerate(self._descriptors()):
            packet = self._builder.add_packet()
            packet.trusted_packet_sequence_id = self._number
            if not number:
                packet.sequence_flags = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
                descriptor.process.pid = self._number
                descriptor.process.process_name = ", ".join(filter(None, (voice["name"], voice["target"])))
            else:
                descriptor.parent_uuid = first
            packet.track_descriptor.CopyFrom(descriptor)

    def _descriptors(self) -> Iterator[TrackDescriptor]:
        """Yield the descriptors, that of the process first."""
        first = self._number * _VOICE
        yield TrackDescriptor(uuid=first, child_ordering=TrackDescriptor.EXPLICIT)
        for cpu, name in enumerate(self._voice["cpus"]):
            yield TrackDescriptor(uuid=first + _CPU + cpu, name=f"CPU {cpu} {name}".strip(), sibling_order_rank=cpu)
        for number, name in enumerate(_COUNTERS):
            yield TrackDescriptor(
                uuid=first + _COUNTER + number,
                name=name,
                sibling_order_rank=_CPU + number,
                counter=CounterDescriptor(unit=CounterDescriptor.UNIT_COUNT),
            )

    def _event(self, time: int, kind: int, cpu: int, name: str = "") -> TrackEvent:
        """Add an event of a CPU's track. A name is sent once, and then by its number."""
        packet = self._packet(time)
        event: TrackEvent = packet.track_event
        event.type = kind
        event.track_uuid = self._number * _VOICE + _CPU + cpu
        if name:
            if name not in self._names:
                self._names[name] = len(self._names) + 1
                packet.interned_data.event_names.add(iid=self._names[name], name=name)
            event.name_iid = self._names[name]
        return event

    def _enter(self, step: SavedStep, end: int) -> None:
        """End the calls that are not in progress any more, and begin those that are new, on the CPU of a step."""
        kept = 0
        if step.cpu == self._cpu:
            for one, other in zip(self._open, step.calls, strict=False):
                if one != other:
                    break
                kept += 1
        self._leave(kept, end)
        self._cpu = step.cpu
        for function, call in step.calls[kept:]:
            name = f"{self._voice['functions'][function]['name']}()"
            self._event(step.number * _STEP, TrackEvent.TYPE_SLICE_BEGIN, step.cpu, name)
            self._open.append((function, call))

    def _leave(self, kept: int, end: int) -> None:
        for _ in self._open[kept:]:
            self._event(end, TrackEvent.TYPE_SLICE_END, self._cpu)
        del self._open[kept:]

    def _add_step(self, step: SavedStep, part: FlowPart) -> None:
        """Add the slice of a step, with its flows and its findings."""
        time = step.number * _STEP
        event = self._event(time, TrackEvent.TYPE_SLICE_BEGIN, step.cpu, label(self._voice, step))
        event.categories.append(step.name)
        base = self._number * _FLOW
        event.flow_ids.extend(base + flow for flow in part.passing)
        event.terminating_flow_ids.extend(base + flow for flow in part.ending)
        for number in step.findings:
            finding = self._voice["findings"][number]
            found = self._event(time, TrackEvent.TYPE_INSTANT, step.cpu, f"finding: {finding['rule']}")
            for name in ("what", "where"):
                found.debug_annotations.add(name=name, string_value=finding[name])
        self._event(time + _SLICE, TrackEvent.TYPE_SLICE_END, step.cpu)

    def _count(self, step: SavedStep, memory: Memory) -> None:
        """Add the counters that a step has changed."""
        for number, (name, attribute) in enumerate(_COUNTERS.items()):
            value = getattr(memory, attribute)
            if value is not None and value != self._shown.get(name):
                event = self._packet(step.number * _STEP).track_event
                event.type = TrackEvent.TYPE_COUNTER
                event.track_uuid = self._number * _VOICE + _COUNTER + number
                event.counter_value = self._shown[name] = value
