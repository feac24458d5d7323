# SPDX-License-Identifier: GPL-2.0-only
"""A recording as the data of a voice: each step as rows of integers, folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from hvolab import trace
from hvolab.cli.options import target_in_words
from hvolab.invariants import Finding
from hvolab.release.gfp import describe
from hvolab_report.recording.calls import Calls, KernelFunction
from hvolab_report.recording.recording import Folio, Mark, Recording, Step
from hvolab_report.recording.translations import TlbChange
from hvolab_report.timeline.data import FindingData, FolioData, FunctionData, LevelData, VoiceData
from hvolab_report.timeline.fold import Row, fold
from hvolab_report.timeline.row_kinds import NUMBER
from hvolab_report.timeline.tables import Bases, Patterns, Table, pfn_runs


class VoiceEncoder:
    """Encodes one recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        machine = recording.machine
        self._levels = [LevelData(level.name, level.shift) for level in machine.target.mode.levels]
        self._level = {level.name: number for number, level in enumerate(self._levels)}
        self._bases = Bases(machine)
        self._patterns = Patterns(machine.target)
        self._texts: Table[str, str] = Table(str)
        self._functions: Table[KernelFunction, FunctionData] = Table(_function)
        self._findings: Table[Finding, FindingData] = Table(_finding)
        self._calls: Calls = ()
        self._rows: list[Row] = []

    def encode(self) -> VoiceData:
        """Return the data."""
        recording, target = self._recording, self._recording.target
        for step in recording.steps:
            self._add(step)
        folios = tuple(self._folio(folio) for folio in recording.folios.values())
        return VoiceData(
            name=recording.name,
            target=target_in_words(target),
            release=str(target.release),
            page_shift=target.mode.page_shift,
            struct_page=recording.machine.struct_pages.layout.size,
            tails_fault=target.tails_fault,
            cpus=tuple(recording.cpu_names.get(cpu.index, "") for cpu in recording.machine.cpus),
            unknown_tlbs=tuple(sorted(recording.unknown_tlbs)),
            levels=tuple(self._levels),
            folios=folios,
            rows=tuple(fold(self._rows)),
            steps=len(recording.steps),
            free_frames=tuple(_free_frames(recording.steps)),
            bases=tuple(map(hex, self._bases.values)),
            texts=tuple(self._texts.values),
            functions=tuple(self._functions.values),
            patterns=tuple(self._patterns.table.values),
            findings=tuple(self._findings.values),
        )

    def _add(self, step: Step) -> None:
        """Add the rows of a step."""
        self._enter(step.calls)
        event = step.event
        make = _MAKERS.get(type(event))
        name, columns = make(self, event) if make is not None else ("other", self._other(event))
        self._rows.append((NUMBER[name], step.cpu, *columns))
        self._rows += [(NUMBER["tlb"], *self._tlb(change)) for change in step.translations]
        self._rows += [(NUMBER["finding"], self._findings.index(finding)) for finding in step.findings]

    def _enter(self, calls: Calls) -> None:
        """Add a row if the calls in progress differ from those of the step before."""
        kept = 0
        for one, other in zip(self._calls, calls, strict=False):
            if one is not other:
                break
            kept += 1
        if kept < max(len(self._calls), len(calls)):
            entered = (self._functions.index(call.function) for call in calls[kept:])
            self._rows.append((NUMBER["calls"], kept, *entered))
        self._calls = calls

    def _tlb(self, change: TlbChange) -> list[int]:
        va = self._bases.split(change.va)
        return [change.cpu, *va, change.pages, change.pfn, int(change.held), int(change.stale)]

    def _folio(self, folio: Folio) -> FolioData:
        runs: list[int] = []
        for run in folio.view.runs:
            level = self._level[run.level]
            pattern, pfn = self._patterns.split(level, run.raw)
            first = pfn if level < len(self._levels) - 1 else run.pfn
            runs += [run.page, run.pages, level, pattern, first, run.step]
        base, va = self._bases.split(folio.va)
        return FolioData(base, va, folio.pfn, folio.order, folio.view.pages, folio.seen, tuple(runs))

    # rows of events

    def mark(self, event: Mark) -> tuple[str, list[int]]:
        """Encode a stage."""
        return "mark", [self._texts.index(event.text), self._texts.index(event.note) if event.note else -1]

    def stored(self, event: trace.EntriesStored) -> tuple[str, list[int]]:
        """Encode stores of entries."""
        level = self._level[event.level]
        before, after = self._patterns.runs(level, event.before), self._patterns.runs(level, event.after)
        va = self._bases.split(event.va)
        return "entry.store", [level, int(event.live), event.pa, *va, len(before) // 4, *before, *after]

    def flushed(self, event: trace.RangeFlushed) -> tuple[str, list[int]]:
        """Encode a flush of a range."""
        return "flush.range", [*self._bases.split(event.start), event.end - event.start]

    def allocated(self, event: trace.PagesAllocated) -> tuple[str, list[int]]:
        """Encode allocations."""
        node = -1 if event.node is None else event.node
        gfp = self._texts.index(describe(event.gfp))
        return "page.allocate", [gfp, event.order, node, int(event.failed), *pfn_runs(event.pfns)]

    def freed(self, event: trace.PagesFreed) -> tuple[str, list[int]]:
        """Encode frees."""
        return "page.free", [event.order, self._texts.index(event.how), *pfn_runs(event.pfns)]

    def split(self, event: trace.PageSplit) -> tuple[str, list[int]]:
        """Encode the split of a block."""
        return "page.split", [event.pfn, event.order]

    def key(self, event: trace.KeyChanged) -> tuple[str, list[int]]:
        """Encode a change of the static key."""
        return "key", [event.delta]

    def counter(self, event: trace.CounterChanged) -> tuple[str, list[int]]:
        """Encode a change of a counter."""
        return "counter", [self._texts.index(event.counter), event.delta]

    def barrier(self, event: trace.Barrier) -> tuple[str, list[int]]:
        """Encode a barrier."""
        return "barrier", [self._texts.index(event.kind)]

    def store(self, event: trace.Stored) -> tuple[str, list[int]]:
        """Encode a store of bytes."""
        return "store", [*self._bases.split(event.va), event.pa, event.size]

    def copied(self, event: trace.PageCopied) -> tuple[str, list[int]]:
        """Encode a copy of a page."""
        return "page.copy", [*self._bases.split(event.to_va), *self._bases.split(event.from_va)]

    def folio(self, event: trace.FolioStep) -> tuple[str, list[int]]:
        """Encode begin or end of work on a folio."""
        return "folio", [self._texts.index(event.step), *self._bases.split(event.folio), event.result]

    def prepared(self, event: trace.FolioPrepared) -> tuple[str, list[int]]:
        """Encode a folio that is ready."""
        return "folio.prepare", [*self._bases.split(event.folio), event.order]

    def batch(self, event: trace.Batch) -> tuple[str, list[int]]:
        """Encode begin or end of a batch."""
        return "batch", [self._texts.index(event.step), 0 if event.result is None else event.result]

    def _other(self, event: trace.Event) -> list[int]:
        """Encode an event by its name and its fields in words."""
        fields = (f"{name.replace('_', ' ')} {_word(getattr(event, name))}" for name in event.__dataclass_fields__)
        return [self._texts.index(event.name), self._texts.index(", ".join(fields))]


_Maker = Callable[[VoiceEncoder, Any], tuple[str, list[int]]]
_MAKERS: Final[dict[type[trace.Event], _Maker]] = {
    Mark: VoiceEncoder.mark,
    trace.EntriesStored: VoiceEncoder.stored,
    trace.RangeFlushed: VoiceEncoder.flushed,
    trace.AllFlushed: lambda _, __: ("flush.all", []),
    trace.GracePeriod: lambda _, __: ("rcu.synchronize", []),
    trace.PagesAllocated: VoiceEncoder.allocated,
    trace.PagesFreed: VoiceEncoder.freed,
    trace.PageSplit: VoiceEncoder.split,
    trace.KeyChanged: VoiceEncoder.key,
    trace.CounterChanged: VoiceEncoder.counter,
    trace.Barrier: VoiceEncoder.barrier,
    trace.Stored: VoiceEncoder.store,
    trace.PageCopied: VoiceEncoder.copied,
    trace.FolioStep: VoiceEncoder.folio,
    trace.FolioPrepared: VoiceEncoder.prepared,
    trace.Batch: VoiceEncoder.batch,
}


def _free_frames(steps: Iterable[Step]) -> Iterator[int]:
    """Yield step and number of free frames wherever allocations and frees do not imply the number."""
    implied: int | None = None
    for number, step in enumerate(steps):
        event = step.event
        if implied is not None and isinstance(event, (trace.PagesAllocated, trace.PagesFreed)):
            count = event.pfns.size << event.order
            implied += count if isinstance(event, trace.PagesFreed) else -count
        if step.free_frames is not None and step.free_frames != implied:
            yield from (number, step.free_frames)
        implied = step.free_frames


def _word(value: object) -> str:
    return hex(value) if isinstance(value, int) and value >= 1 << 12 else str(value)


def _function(function: KernelFunction) -> FunctionData:
    return FunctionData(function.name, function.what, function.source, function.model)


def _finding(finding: Finding) -> FindingData:
    return FindingData(finding.rule, finding.number, finding.what, finding.where, finding.declared, finding.fault)
