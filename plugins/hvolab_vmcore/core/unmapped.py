# SPDX-License-Identifier: GPL-2.0-only
"""Physical memory of a dump whose PAs are too far apart for one mapping: read from the dump, and never stored to."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES
from hvolab.machine import FrameState, MemorySource, PhysicalMemory

_Ints = npt.NDArray[np.int64]
_Octets = npt.NDArray[np.uint8]

#: Frames whose words are kept, for reading them one by one.
_KEPT: Final = 1 << 10


class UnmappedMemory(PhysicalMemory):
    """Memory from PA ``base`` on that is not mapped: arrays of it read frames from the source when they are indexed.

    No machine can be built on it, since nothing can be stored to it.
    """

    def __init__(
        self,
        base: int,
        size: int,
        *,
        page_shift: int,
        byte_order: str = "little",
        entry_byte_order: str | None = None,
        source: MemorySource,
    ) -> None:
        page = 1 << page_shift
        super().__init__(base, page, page_shift=page_shift, byte_order=byte_order, entry_byte_order=entry_byte_order)
        words, entries = (_Words(self, view.dtype) for view in (self.words, self.entries))
        self.size, self.frames, self.source = size, size >> page_shift, source
        views: dict[str, Any] = {"words": words, "scalar": words, "entries": entries, "entry_scalar": entries}
        vars(self).update(views, pages=_Pages(self, self.words.dtype))

    def offset(self, pa: int, size: int = 1) -> int:
        """Return the distance of ``[pa, pa + size)`` from the base; raises AbsentMemoryError for absent memory."""
        self._held_rows(np.arange(pa >> self.page_shift, (pa + size - 1 >> self.page_shift) + 1), 0)
        return pa - self.base

    def holds(self, pa: int) -> bool:
        """Return whether the dump has the frame of ``pa``."""
        return bool(self.held(np.array([pa >> self.page_shift]))[0])

    def states(self, pfns: _Ints) -> _Octets:
        """Return the FrameState of each frame."""
        return np.zeros(pfns.size, dtype=np.uint8) if self.source is None else self.source.states(pfns)

    def peek(self, pfns: _Ints, size: int, states: _Octets | None = None) -> _Octets:
        """Return a copy of the first ``size`` bytes of each frame, shape (n, size); zeros for frames not held."""
        rows = np.zeros((pfns.size, size), dtype=np.uint8)
        held = np.flatnonzero((self.states(pfns) if states is None else states) >= FrameState.ZERO)
        if self.source is not None and held.size:
            rows[held] = self.source.read(pfns[held], size)
        return rows

    def view(self, pa: int, size: int) -> _Octets:
        """Return a copy of the bytes ``[pa, pa + size)``."""
        first, inside = pa >> self.page_shift, pa & (1 << self.page_shift) - 1
        pfns = np.arange(first, (pa + size - 1 >> self.page_shift) + 1)
        return self._held_rows(pfns, 1 << self.page_shift).reshape(-1)[inside : inside + size]

    def _held_rows(self, pfns: _Ints, size: int) -> _Octets:
        """Return as :meth:`peek`; raises AbsentMemoryError for a frame that is not held."""
        states = self.states(pfns)
        for missing in pfns[states < FrameState.ZERO][:1].tolist():
            raise self._missing(missing)
        return self.peek(pfns, size, states)

    def frame_words(self, frames: _Ints, dtype: np.dtype[Any]) -> npt.NDArray[np.uint64]:
        """Return a copy of the words of each frame, by its distance from the base, shape (n, words of a page)."""
        found: npt.NDArray[np.uint64] = self._held_rows(frames + self.first_pfn, 1 << self.page_shift).view(dtype)
        return found


class _Words:
    """Words of memory by index, as an array of them that is read only where it is indexed.

    dtype  as that of the array
    """

    def __init__(self, memory: UnmappedMemory, dtype: np.dtype[Any]) -> None:
        self._memory = memory
        self.dtype = dtype
        self._per_frame = (1 << memory.page_shift) // WORD_BYTES
        self._kept: dict[int, npt.NDArray[np.uint64]] = {}

    def __getitem__(self, index: Any) -> Any:
        """Return the word at an index as an integer, or the words of a slice or an array as an array."""
        if isinstance(index, slice):
            index = np.arange(index.start, index.stop, dtype=np.int64)
        if isinstance(index, np.ndarray):
            frames, places = np.unique(index // self._per_frame, return_inverse=True)
            return self._memory.frame_words(frames, self.dtype)[places.reshape(index.shape), index % self._per_frame]
        frame, inside = divmod(int(index), self._per_frame)
        words = self._kept.get(frame)
        if words is None:
            words = self._memory.frame_words(np.array([frame], dtype=np.int64), self.dtype)[0]
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[frame] = words
        return int(words[inside])


class _Pages:
    """Words of memory by frame, as an array that is read only where it is indexed.

    shape  as that of the array
    """

    def __init__(self, memory: UnmappedMemory, dtype: np.dtype[Any]) -> None:
        self._memory = memory
        self._dtype = dtype
        self.shape = memory.frames, (1 << memory.page_shift) // WORD_BYTES

    def __getitem__(self, frames: _Ints) -> npt.NDArray[np.uint64]:
        """Return the words of some frames, shape (n, words of a page)."""
        return self._memory.frame_words(frames, self._dtype)
