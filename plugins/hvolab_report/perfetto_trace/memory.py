# SPDX-License-Identifier: GPL-2.0-only
"""Effect of the steps on memory: free frames, frames saved, stale translations, frames between store and free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hvolab_report.perfetto_trace.steps import SavedStep, blocks, entries


@dataclass(frozen=True)
class FlowPart:
    """A step's part in flows: from the store that unmaps frames to their flush to their being freed.

    passing  flows that begin here or pass through
    ending   flows that end here: the last of their frames is freed
    """

    passing: tuple[int, ...] = ()
    ending: tuple[int, ...] = ()


class Flows:
    """Frames that a store has taken out of the vmemmap, each with its flow: one for each step that stores."""

    def __init__(self) -> None:
        self._begun = 0
        self._of_frame: dict[int, int] = {}
        self._left: dict[int, int] = {}
        self._unflushed: dict[int, tuple[int, int]] = {}

    def unmap(self, frames: set[int], start: int, end: int) -> FlowPart:
        """Begin a flow for frames that nothing maps since a store of entries for the VAs ``[start, end)``."""
        if not frames:
            return FlowPart()
        self._begun += 1
        self._of_frame.update(dict.fromkeys(frames, self._begun))
        self._left[self._begun] = len(frames)
        self._unflushed[self._begun] = start, end
        return FlowPart((self._begun,))

    def flush(self, start: int, end: int) -> FlowPart:
        """Return the flows that a flush of ``[start, end)`` passes on."""
        passed = [flow for flow, (first, last) in self._unflushed.items() if start <= first and last <= end]
        for flow in passed:
            del self._unflushed[flow]
        return FlowPart(tuple(passed))

    def free(self, frames: set[int]) -> FlowPart:
        """Return the flows that end as frames are freed, and those that have frames left."""
        passing: dict[int, None] = {}
        ending = []
        for frame in sorted(frames & self._of_frame.keys()):
            flow = self._of_frame.pop(frame)
            passing[flow] = None
            self._left[flow] -= 1
            if not self._left[flow]:
                ending.append(flow)
                del passing[flow], self._left[flow]
                self._unflushed.pop(flow, None)
        return FlowPart(tuple(passing), tuple(ending))


class Memory:
    """Counters after each step.

    free   free frames; None: the machine cannot report them
    saved  pages of the folios' vmemmap less the frames behind them
    stale  stale translations in all TLBs
    """

    def __init__(self, voice: Any) -> None:
        self.free: int | None = None
        self.stale = 0
        known = voice.get("free_frames", ())  # files of an earlier hvolab have none
        self._known = dict(zip(known[::2], known[1::2], strict=True))
        self._shift = voice["page_shift"]
        self._patterns = voice["patterns"]
        self._last = len(voice["levels"]) - 1
        self._pages = [1 << level["shift"] - self._shift for level in voice["levels"]]
        self._frame_of: dict[int, int] = {}
        self._users: dict[int, int] = {}
        self._stale: set[tuple[int, ...]] = set()
        for folio in voice["folios"]:
            self._see(folio)
        self._owned = set(self._users)
        self._flows = Flows()

    @property
    def saved(self) -> int:
        """Pages of the folios' vmemmap less the frames behind them."""
        return len(self._frame_of) - len(self._owned)

    def advance(self, step: SavedStep) -> FlowPart:
        """Count a step; the steps are counted in order. Return its part in flows."""
        sign = {"page.free": 1, "page.allocate": -1}.get(step.name, 0)
        if self.free is not None:
            self.free += sign * sum(count for _, count in blocks(step))
        self.free = self._known.get(step.number, self.free)
        for row in step.translations:
            key = tuple(row[1:5])
            (self._stale.add if row[6] and row[7] else self._stale.discard)(key)
        self.stale = len(self._stale)
        if step.name == "entry.store":
            return self._stored(step)
        if step.name == "page.free":
            frames = self._freed(step)
            self._owned -= frames
            return self._flows.free(frames)
        if step.name == "flush.all":
            return self._flows.flush(0, 1 << 64)
        if step.name == "flush.range" and step.row[2] == 0:
            return self._flows.flush(step.row[3], step.row[3] + step.row[4])
        return FlowPart()

    def _see(self, folio: Any) -> None:
        first, runs = folio["va"] >> self._shift, folio["runs"]
        for at in range(0, len(runs), 6):
            page, pages, level, _, pfn, by = runs[at : at + 6]
            inside = (first + page) % self._pages[level]  # 0 at the last level: pfn is the page's own
            for turn in range(pages):
                self._map(first + page + turn, pfn + inside + turn * by)

    def _map(self, page: int, frame: int) -> None:
        """Map a page of the vmemmap to a frame."""
        before = self._frame_of.get(page)
        if before is not None:
            self._users[before] -= 1
        self._frame_of[page] = frame
        self._users[frame] = self._users.get(frame, 0) + 1

    def _stored(self, step: SavedStep) -> FlowPart:
        """Map the pages of folios whose last-level entries a step stores."""
        _, _, level, _, _, base, va, runs, *flat = step.row
        if level != self._last or base != 0:
            return FlowPart()
        first, unmapped, page = va >> self._shift, set(), va >> self._shift
        for pattern, frame in entries(flat[4 * runs :]):
            before = self._frame_of.get(page)
            if before not in {None, frame} and self._patterns[pattern]["kind"] == "leaf":
                self._map(page, frame)
                self._owned.add(frame)
                if not self._users[before]:
                    unmapped.add(before)
            page += 1
        return self._flows.unmap(unmapped, first << self._shift, page << self._shift)

    def _freed(self, step: SavedStep) -> set[int]:
        """Return the frames of the vmemmap that a step frees."""
        found: set[int] = set()
        for first, count in blocks(step):
            if count <= len(self._owned):
                found.update(range(first, first + count))
            else:
                found.update(frame for frame in self._owned if first <= frame < first + count)
        return found & self._owned
