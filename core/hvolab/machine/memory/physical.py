# SPDX-License-Identifier: GPL-2.0-only
"""Sparse physical memory as real bytes: a 1 TiB machine costs what it touches."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT, div_round_up
from hvolab.arrays import consecutive_runs
from hvolab.errors import AbsentMemoryError, MachineError
from hvolab.machine.memory.mapping import RestorableMapping, reserve
from hvolab.machine.memory.source import FrameState, MemorySource, Octets, Pfns

#: numpy's prefix of a type for each byte order.
_PREFIXES = {"little": "<", "big": ">"}
#: Frames that are read from a source at once.
_AT_ONCE = 1024


class Words(Protocol):
    """Words, or half words, of memory by index, as Python integers in the machine's byte order."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


class _ForeignWords:
    """Words in the byte order that the host does not have."""

    def __init__(self, words: npt.NDArray[Any]) -> None:
        self._words = words

    def __getitem__(self, index: int, /) -> int:
        return int(self._words[index])

    def __setitem__(self, index: int, value: int, /) -> None:
        self._words[index] = value


class PhysicalMemory:
    """RAM from PA ``base`` on, as one private mapping that the host backs page by page when touched.

    base, size  bytes; both multiples of the page size
    octets      every byte, uint8; its host address never changes, and emulators may map it
    halves      every half word, uint32 in the machine's byte order
    words       every word, uint64 likewise
    pages       the words by page, shape (frames, words of a page)
    scalar, half_scalar  words and half words as Python integers, for fast access to one
    entries, entry_scalar  as ``words`` and ``scalar``, for page-table entries: in the byte order that entries have
    source      ``None``, or where the frames that are not present are read from when they are first used
    present     ``None``, or a flag for each frame: whether its bytes are in this memory (memory with a source)
    """

    def __init__(
        self,
        base: int,
        size: int,
        *,
        page_shift: int,
        byte_order: str = "little",
        entry_byte_order: str | None = None,
        source: MemorySource | None = None,
    ) -> None:
        page = 1 << page_shift
        if size <= 0 or size % page or base % page:
            raise MachineError(
                f"RAM of {size:#x} bytes at PA {base:#x} is not a whole number of pages of {page:#x} bytes"
            )
        self.source = source
        self.present: npt.NDArray[np.bool_] | None = None
        try:
            self._mapping = RestorableMapping(size)
            if source is not None:
                self.present = np.frombuffer(reserve(size >> page_shift), dtype=np.bool_)
        except (OSError, ValueError, OverflowError) as error:
            raise MachineError(
                f"the host does not map {size:#x} bytes: {error}",
                hint="build a smaller machine, or allow overcommit (vm.overcommit_memory 0 or 1)",
            ) from error
        self.base = base
        self.size = size
        self.page_shift = page_shift
        self.first_pfn = base >> page_shift
        self.frames = size >> page_shift
        prefix = _PREFIXES[byte_order]
        self.octets = self._mapping.octets
        self.halves: npt.NDArray[np.uint32] = self.octets.view(f"{prefix}u4")
        self.words: npt.NDArray[np.uint64] = self.octets.view(f"{prefix}u8")
        self.pages: npt.NDArray[np.uint64] = self.words.reshape(self.frames, page // WORD_BYTES)
        self.scalar: Words = self._scalar(self.words)
        self.half_scalar: Words = self._scalar(self.halves)
        self.entries, self.entry_scalar = self.words, self.scalar
        if entry_byte_order not in {None, byte_order}:
            self.entries = self.octets.view(f"{_PREFIXES[entry_byte_order]}u8")
            self.entry_scalar = self._scalar(self.entries)

    def _scalar(self, words: npt.NDArray[Any]) -> Words:
        """Return the words of a view of this memory as Python integers."""
        if not words.dtype.isnative:
            return _ForeignWords(words)
        octets = memoryview(self._mapping.buffer)
        return octets.cast("Q") if words.itemsize == WORD_BYTES else octets.cast("I")

    def offset(self, pa: int, size: int = 1) -> int:
        """Return the offset of ``[pa, pa + size)`` in the mapping; raises AbsentMemoryError for absent memory."""
        offset = pa - self.base
        if offset < 0 or offset + size > self.size:
            raise AbsentMemoryError(
                f"no memory at PA {pa:#x}", where=f"RAM is [{self.base:#x}, {self.base + self.size:#x})"
            )
        first, last = offset >> self.page_shift, offset + size - 1 >> self.page_shift
        if self.present is not None and not self.present[first : last + 1].all():
            pfns = np.arange(first, last + 1) + self.first_pfn
            there = self.fetch(pfns)
            if not there.all():
                raise self._missing(int(pfns[~there][0]))
        return offset

    def _missing(self, pfn: int) -> AbsentMemoryError:
        saved = int(self.states(np.array([pfn]))[0]) == FrameState.NOT_SAVED
        return AbsentMemoryError(
            f"the frame at PA {pfn << self.page_shift:#x} is not in the core" + (": it was not saved" if saved else ""),
            where=f"PFN {pfn:#x}",
            hint="use a core that holds it: page tables and vmemmap must not be filtered out",
        )

    def holds(self, pa: int) -> bool:
        """Return whether the machine has the frame of ``pa``."""
        frame = (pa - self.base) >> self.page_shift
        if not 0 <= frame < self.frames:
            return False
        if self.present is None or self.present[frame]:
            return True
        return bool(self.fetch(np.array([frame + self.first_pfn]))[0])

    def states(self, pfns: Pfns) -> Octets:
        """Return the FrameState of each frame; frames that are in this memory are SAVED."""
        index = pfns - self.first_pfn
        inside = (index >= 0) & (index < self.frames)
        states = np.where(inside, FrameState.SAVED, FrameState.ABSENT).astype(np.uint8)
        if self.present is not None:
            elsewhere = inside.copy()
            elsewhere[inside] = ~self.present[index[inside]]
            states[elsewhere] = FrameState.ABSENT if self.source is None else self.source.states(pfns[elsewhere])
        return states

    def held(self, pfns: Pfns) -> npt.NDArray[np.bool_]:
        """Return one flag for each frame: its bytes are known; False for any number that is not a PFN."""
        return self.states(pfns) >= FrameState.ZERO

    def fetch(self, pfns: Pfns) -> npt.NDArray[np.bool_]:
        """Return as :meth:`held`; read the frames that it is True for into this memory, where they are not there."""
        states = self.states(pfns)
        held: npt.NDArray[np.bool_] = states >= FrameState.ZERO
        if self.present is None or self.source is None or not held.any():
            return held
        index, places = np.unique(pfns[held] - self.first_pfn, return_index=True)
        missing = ~self.present[index]
        wanted, known = index[missing], states[held][places[missing]]
        for start in range(0, wanted.size, _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            saved = part[known[start : start + _AT_ONCE] == FrameState.SAVED]
            self._rows()[saved] = self.source.read(saved + self.first_pfn, 1 << self.page_shift)
            self.present[part] = True
        return held

    def peek(self, pfns: Pfns, size: int, states: Octets | None = None) -> Octets:
        """Return a copy of the first ``size`` bytes of each frame, shape (n, size), which this memory does not keep.

        states  what :meth:`states` returns for these frames; None: it is called

        Zeros for frames that are not held.
        """
        held = (self.states(pfns) if states is None else states) >= FrameState.ZERO
        wanted = np.flatnonzero(held)
        index = pfns[wanted] - self.first_pfn
        here = np.ones(wanted.size, dtype=np.bool_) if self.present is None else self.present[index]
        if self.source is not None and wanted.size == pfns.size and not here.any():
            return self.source.read(pfns, size)
        rows = np.zeros((pfns.size, size), dtype=np.uint8)
        rows[wanted[here]] = self._rows()[index[here], :size]
        if self.source is not None:
            rows[wanted[~here]] = self.source.read(pfns[wanted[~here]], size)
        return rows

    def peek_words(self, pfns: Pfns, count: int) -> npt.NDArray[np.uint64]:
        """Return as :meth:`peek`, the first ``count`` words of each frame."""
        return self.peek(pfns, count * WORD_BYTES).view(self.words.dtype)

    def peek_entries(self, pfns: Pfns, count: int) -> npt.NDArray[np.uint64]:
        """Return as :meth:`peek_words`, page-table entries."""
        return self.peek(pfns, count * WORD_BYTES).view(self.entries.dtype)

    def add(self, pfn: int, frames: int) -> None:
        """Make frames that the source does not have part of this memory; their bytes stay."""
        if self.present is not None:
            self.present[pfn - self.first_pfn : pfn - self.first_pfn + frames] = True

    def discard(self, pfns: Pfns) -> None:
        """Take frames that were added from this memory."""
        if self.present is not None:
            self.present[pfns - self.first_pfn] = False

    def _rows(self) -> Octets:
        return self.octets.reshape(self.frames, -1)

    def read_word(self, pa: int) -> int:
        """Return the word at ``pa``."""
        return self.scalar[self.offset(pa, WORD_BYTES) >> WORD_SHIFT]

    def write_word(self, pa: int, value: int) -> None:
        """Store a word at ``pa``."""
        self.scalar[self.offset(pa, WORD_BYTES) >> WORD_SHIFT] = value

    def read_entry(self, pa: int) -> int:
        """Return the page-table entry at ``pa``."""
        return self.entry_scalar[self.offset(pa, WORD_BYTES) >> WORD_SHIFT]

    def write_entry(self, pa: int, raw: int) -> None:
        """Store a page-table entry at ``pa``."""
        self.entry_scalar[self.offset(pa, WORD_BYTES) >> WORD_SHIFT] = raw

    def entry_view(self, pa: int, count: int) -> npt.NDArray[np.uint64]:
        """Return ``count`` page-table entries from ``pa`` on, not copied."""
        first = self.offset(pa, count * WORD_BYTES) >> WORD_SHIFT
        return self.entries[first : first + count]

    def view(self, pa: int, size: int) -> npt.NDArray[np.uint8]:
        """Return the bytes ``[pa, pa + size)``, not copied."""
        offset = self.offset(pa, size)
        return self.octets[offset : offset + size]

    def word_view(self, pa: int, count: int) -> npt.NDArray[np.uint64]:
        """Return ``count`` words from ``pa`` on, not copied."""
        first = self.offset(pa, count * WORD_BYTES) >> WORD_SHIFT
        return self.words[first : first + count]

    def frame(self, pfn: int) -> npt.NDArray[np.uint64]:
        """Return the words of one frame, not copied."""
        return self.word_view(pfn << self.page_shift, self.pages.shape[1])

    def zero(self, pfn: int, frames: int) -> None:
        """Zero ``frames`` frames from ``pfn`` on."""
        size = frames << self.page_shift
        first = self.offset(pfn << self.page_shift, size)
        self.octets[first : first + size] = 0

    def release(self, pfns: npt.NDArray[np.int64]) -> None:
        """Return the host pages of these frames to the host; the frames then read as zeros."""
        ordered = np.sort(pfns, kind="stable") - self.first_pfn
        starts, stops = consecutive_runs(ordered)
        granule = mmap.PAGESIZE >> self.page_shift or 1
        for start, stop in zip(ordered[starts].tolist(), (ordered[stops - 1] + 1).tolist(), strict=True):
            # whole host pages only: a host page may be larger than the machine's
            first, last = div_round_up(start, granule) * granule, stop // granule * granule
            if last > first:
                self._mapping.zero(first << self.page_shift, last - first << self.page_shift)

    def save(self) -> Callable[[], None]:
        """Save the bytes; return the function that restores them. See ``RestorableMapping.save()``."""
        restore_bytes, flags = self._mapping.save(), self.present
        saved = None if flags is None else flags.copy()

        def restore() -> None:
            restore_bytes()
            self.present = flags
            if flags is not None:
                flags[:] = saved

        return restore

    def changed(self, pfn: int, frames: int) -> list[tuple[int, int]]:
        """Return ranges of indices of words that may differ from the state saved or restored last.

        Searched are ``frames`` frames from ``pfn`` on. See ``RestorableMapping.changed()``.
        """
        size = frames << self.page_shift
        start = self.offset(pfn << self.page_shift, size)
        parts = self._mapping.changed(start, start + size)
        return [(first // WORD_BYTES, last // WORD_BYTES) for first, last in parts]
