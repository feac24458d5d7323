# SPDX-License-Identifier: GPL-2.0-only
"""Physical memory in long ranges of a file, as ELF cores, LiME and raw memory have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hvolab.arithmetic import div_round_up
from hvolab.machine import FrameState
from hvolab_vmcore.files.content import Content, Ints, Octets

#: Bytes that are compared at once.
_COMPARED = 1 << 20


class Extent(NamedTuple):
    """Bytes of physical memory in a file: PA of the first, one past the last, and offset of the first in the file."""

    start: int
    end: int
    offset: int


class DisagreementError(Exception):
    """Two extents have different bytes for one PA; the arguments are the two extents."""


def within(extents: Sequence[Extent], size: int) -> list[Extent]:
    """Return what a file of that size has of each extent, without empty ones."""
    parts = (one._replace(end=min(one.end, one.start + max(0, size - one.offset))) for one in extents)
    return [one for one in parts if one.end > one.start]


def known(extents: Sequence[Extent], missing: Ints) -> Iterator[Extent]:
    """Yield the parts of extents whose bytes are not in one of the ranges that are missing in the file."""
    for extent in extents:
        start, end = extent.offset, extent.offset + extent.end - extent.start
        first, last = np.searchsorted(missing[:, 1], start, side="right"), np.searchsorted(missing[:, 0], end)
        for low, high in (*missing[first:last].tolist(), (end, end)):
            if low > start:
                yield Extent(extent.start + start - extent.offset, extent.start + low - extent.offset, start)
            start = max(start, high)


def merged(extents: Sequence[Extent], content: Content, *, agree: bool = False) -> tuple[Extent, ...]:
    """Return the extents in order of PA, without what an earlier one has already.

    agree  overlapping extents are known to agree, and not compared

    Raises DisagreementError for two with different bytes for the same memory. The bytes compared are at most those of
    the file: more overlap than that is taken for a disagreement.
    """
    found = list[Extent]()
    budget = content.size
    for extent in sorted(extents, key=lambda one: (one.start, -one.end)):
        here = extent
        while found and here.start < min(found[-1].end, here.end):
            other, end = found[-1], min(found[-1].end, here.end)
            mine, theirs = here.offset, other.offset + here.start - other.start
            if mine != theirs and not agree:
                budget -= end - here.start
                if budget < 0 or not _same(content, mine, theirs, end - here.start):
                    raise DisagreementError(other, extent)
            here = Extent(end, here.end, here.offset + end - here.start)
        if here.end > here.start:
            found.append(here)
    return tuple(found)


def _same(content: Content, first: int, second: int, size: int) -> bool:
    """Return whether two ranges of the file have the same bytes."""
    return all(
        content.read(first + done, min(_COMPARED, size - done))
        == content.read(second + done, min(_COMPARED, size - done))
        for done in range(0, size, _COMPARED)
    )


class ExtentFrames:
    """Frames of extents; a MemorySource.

    content  the file
    extents  in order of PA, without overlaps
    ranges   all memory that the file describes, as PA of the first byte and one past the last
    """

    def __init__(
        self, content: Content, extents: Sequence[Extent], ranges: Sequence[tuple[int, int]], page_shift: int
    ) -> None:
        self._content = content
        self._shift = page_shift
        extents = list(known(extents, content.missing))
        #: Frames that are made of several extents, each with its pieces.
        self._pieced: list[list[Extent]] = []
        runs = sorted([*self._whole(extents), *self._across(extents)])
        table = np.array(runs, dtype=np.int64).reshape(-1, 4)
        self._first, self._end, self._state, self._offset = table.T.copy()
        described = np.array(sorted((a >> page_shift, div_round_up(b, 1 << page_shift)) for a, b in ranges), np.int64)
        described = described.reshape(-1, 2)
        self._described_first = described[:, 0].copy()
        self._described_end = np.maximum.accumulate(described[:, 1])

    def _whole(self, extents: Sequence[Extent]) -> Iterator[tuple[int, int, int, int]]:
        """Yield the frames that are within one extent as runs: first, end, state, offset."""
        page, holes = 1 << self._shift, self._content.holes
        for extent in extents:
            first, end = div_round_up(extent.start, page), extent.end >> self._shift
            if end <= first:
                continue
            base = extent.offset + (first << self._shift) - extent.start
            done = first
            low = int(np.searchsorted(holes[:, 1], base, side="right"))
            high = int(np.searchsorted(holes[:, 0], base + (end - first << self._shift)))
            for start, stop in holes[low:high].tolist():
                zero = max(done, first + div_round_up(max(start - base, 0), page))
                until = min(end, first + (stop - base >> self._shift))
                if until <= zero:
                    continue
                if zero > done:
                    yield done, zero, FrameState.SAVED, base + (done - first << self._shift)
                yield zero, until, FrameState.ZERO, 0
                done = until
            if done < end:
                yield done, end, FrameState.SAVED, base + (done - first << self._shift)

    def _across(self, extents: Sequence[Extent]) -> Iterator[tuple[int, int, int, int]]:
        """Yield the frames that several extents make up as runs of one, whose offset is -1 less the index of pieces."""
        page, pieces = 1 << self._shift, dict[int, list[Extent]]()
        for extent in extents:
            borders = {pa >> self._shift for pa in (extent.start, extent.end) if pa % page}
            for frame in borders:
                pieces.setdefault(frame, []).append(extent)
        for frame, parts in pieces.items():
            start, end = frame << self._shift, frame + 1 << self._shift
            gapless = all(one.end == other.start for one, other in pairwise(parts))
            if gapless and parts[0].start <= start and parts[-1].end >= end:
                self._pieced.append(parts)
                yield frame, frame + 1, FrameState.SAVED, -len(self._pieced)

    def states(self, pfns: Ints) -> Octets:
        """Return the FrameState of each frame."""
        states = np.zeros(pfns.size, dtype=np.uint8)
        unknown = np.ones(pfns.size, dtype=np.bool_)
        if self._first.size:
            place = np.searchsorted(self._first, pfns, side="right") - 1
            known = (place >= 0) & (pfns < self._end[place])
            states[known] = self._state[place[known]]
            unknown = ~known
        if self._described_first.size and unknown.any():
            rest = pfns[unknown]
            place = np.searchsorted(self._described_first, rest, side="right") - 1
            described = (place >= 0) & (rest < self._described_end[place])
            states[unknown] = np.where(described, FrameState.NOT_SAVED, FrameState.ABSENT)
        return states

    def read(self, pfns: Ints, size: int) -> Octets:
        """Return a copy of the first ``size`` bytes of each frame, shape (n, size)."""
        if not pfns.size:
            return np.zeros((0, size), dtype=np.uint8)
        place = np.searchsorted(self._first, pfns, side="right") - 1
        offsets = self._offset[place]
        saved = np.flatnonzero((self._state[place] == FrameState.SAVED) & (offsets >= 0))
        rows = self._content.rows(offsets[saved] + (pfns[saved] - self._first[place[saved]] << self._shift), size)
        if saved.size == pfns.size:
            return rows
        found = np.zeros((pfns.size, size), dtype=np.uint8)
        found[saved] = rows
        for row in np.flatnonzero(offsets < 0).tolist():
            found[row] = self._assembled(int(pfns[row]), -1 - int(offsets[row]))[:size]
        return found

    def _assembled(self, pfn: int, index: int) -> Octets:
        """Return the bytes of a frame that several extents make up."""
        start, page = pfn << self._shift, 1 << self._shift
        parts = []
        for piece in self._pieced[index]:
            begin, end = max(piece.start, start), min(piece.end, start + page)
            parts.append(self._content.read(piece.offset + begin - piece.start, end - begin))
        return np.frombuffer(b"".join(parts), np.uint8)
