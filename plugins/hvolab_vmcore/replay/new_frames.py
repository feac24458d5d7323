# SPDX-License-Identifier: GPL-2.0-only
"""New frames of a machine built from a core, and per-frame flags; it has no page allocator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hvolab.arch import Level
from hvolab.arithmetic import WORD_BYTES, round_up
from hvolab.errors import MachineError
from hvolab.machine import Cpu, PhysicalMemory
from hvolab_vmcore.core.memory import Flags, Ints
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages


class NewFrames:
    """Allocator of frames that the core does not hold and its vmemmap does not map; no frame is allocated twice.

    memory  the machine's memory; an allocated frame becomes present
    first   lowest PFN
    used    PFNs that are not allocated, ascending
    """

    def __init__(self, memory: PhysicalMemory, first: int, used: Ints) -> None:
        self._memory = memory
        self._used = used
        self.first = first
        self._next = first

    def allocate(self, order: int, gfp: int, node: int) -> int:
        """Return the head PFN of a naturally aligned block of 2 ** order frames."""
        del gfp, node  # a core has no zones
        return self.allocate_contiguous(1 << order, 0, 0, 1 << order)

    def allocate_run(self, count: int, gfp: int, node: int) -> Ints:
        """Return the PFNs of ``count`` single frames."""
        return np.array([self.allocate(0, gfp, node) for _ in range(count)], dtype=np.int64)

    def allocate_contiguous(self, frames: int, gfp: int, node: int, align: int) -> int:
        """Return the first PFN of an aligned range; raise MachineError where no room above the core is left."""
        del gfp, node
        first = round_up(self._next, align)
        while True:
            place = int(np.searchsorted(self._used, first))
            if place == self._used.size or self._used[place] >= first + frames:
                break
            first = round_up(int(self._used[place]) + 1, align)
        index = first - self._memory.first_pfn
        if index + frames > self._memory.frames:
            raise MachineError(
                f"no room is left above the core's memory for {frames} new frames",
                where=f"PFN {first:#x}",
                hint="replay cores with fewer changes between them",
            )
        self._memory.add(first, frames)
        self._next = first + frames
        return first

    def table(self, level: Level) -> int:
        """Return the PA of a zeroed table for a level; raise MachineError as allocate_contiguous() does."""
        shift = self._memory.page_shift
        frames = max(1, level.table_bytes >> shift)
        pfn = self.allocate_contiguous(frames, 0, 0, frames)
        self._memory.zero(pfn, frames)
        return pfn << shift

    def certain(self, *_: int) -> bool:
        """Return False: allocation folio by folio reports where the room ends."""
        return False

    def _ignore(self, *_: object) -> None:
        """Do nothing: all frames are single, and one that is freed is not allocated again."""

    free = free_run = split = release_reserved = release_reserved_one = _ignore


class CoreRecords:
    """Per-frame flags from struct pages in the core, and assumptions for frames whose struct page it does not hold.

    pages       struct pages, as the core's own tables map them
    new_frames  allocator of the new frames
    assumed     PFNs whose flags were read and assumed
    provide     called with frames that are allocated, to add their struct pages; None: they have none
    """

    def __init__(self, pages: VmemmapPages, snapshot: CoreSnapshot, new_frames: NewFrames) -> None:
        self._memory = snapshot.memory
        self._layout = snapshot.struct_pages.layout
        self._new_frames = new_frames
        # as scanned: the vmemmap pages of frames that back the vmemmap are never remapped by HVO
        self._pages = pages
        self.assumed: set[int] = set()
        self.provide: Callable[[Ints], None] | None = None

    def _read_flag(self, pfns: Ints, bit: int) -> tuple[Flags, Flags]:
        """Return a bit of each frame's flags, and whether the core holds its struct page; other frames are assumed."""
        memory, shift = self._memory, self._memory.page_shift
        offsets = pfns * self._layout.size + self._layout.flags
        frames = self._pages.frames_of(offsets >> shift)
        there = memory.fetch(frames)
        inside = (offsets & ((1 << shift) - 1)) // WORD_BYTES
        flags = memory.pages[np.where(there, frames - memory.first_pfn, 0), inside].astype(np.uint64)
        self.assumed.update(pfns[~there & (pfns < self._new_frames.first)].tolist())
        return there & (flags >> np.uint64(bit) & np.uint64(1)).astype(np.bool_), there

    def known(self, pfns: Ints) -> Flags:
        """Return one flag for each frame: whether the core holds its struct page."""
        return self._read_flag(pfns, 0)[1]

    def reserved(self, pfns: Ints) -> Flags:
        """Return PG_reserved of each frame; a frame without a struct page in the core is assumed to be boot memory."""
        reserved, there = self._read_flag(pfns, self._layout.pg_reserved)
        return (reserved | ~there) & (pfns < self._new_frames.first)

    def self_hosted(self, cpu: Cpu, pfn: int) -> bool:
        """Return PG_vmemmap_self_hosted of a frame, False if its struct page is not in the core."""
        return self.any_self_hosted(cpu, np.array([pfn], dtype=np.int64))

    def any_self_hosted(self, cpu: Cpu, pfns: Ints) -> bool:
        """Return whether PG_vmemmap_self_hosted is set for any frame."""
        del cpu
        return bool(self._read_flag(pfns, self._layout.pg_vmemmap_self_hosted)[0].any())

    def boot_registered(self, pfns: Ints) -> Flags:
        """Return True for each frame: the kernel registers the vmemmap of boot, and only boot frames are checked."""
        return np.ones(pfns.size, dtype=np.bool_)

    def boot_registered_one(self, pfn: int) -> bool:
        """Return True."""
        del pfn
        return True

    def allocated(self, first: int, count: int) -> None:
        """Provide the struct pages of a range of new frames."""
        self.allocated_run(np.arange(first, first + count, dtype=np.int64))

    def allocated_run(self, pfns: Ints) -> None:
        """Provide the struct pages of new frames; nothing is written to them."""
        if self.provide is not None:
            self.provide(pfns)

    def _ignore(self, *_: object) -> None:
        """Do nothing: HVO does not write the struct pages that freeing changes."""

    freed = freed_at = _ignore
