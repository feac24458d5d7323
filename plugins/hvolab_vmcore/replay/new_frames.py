"""New frames for a machine made from a core, and what is known about its frames: there is no page allocator in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hvolab.arch import Level
from hvolab.errors import MachineError
from hvolab.machine import Cpu, PhysicalMemory, StructPageLayout
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages

Pfns = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_WORD = 8


class NewFrames:
    """Hands out frames that the core does not hold and its vmemmap does not map, from one PFN up; none twice.

    memory  the machine's; a frame is there from when it is handed out
    first   PFN to start from
    taken   PFNs to leave out, ascending
    """

    def __init__(self, memory: PhysicalMemory, first: int, taken: Pfns) -> None:
        self._memory = memory
        self._taken = taken
        self.first = first
        self._next = first

    def allocate(self, order: int, gfp: int, node: int) -> int:
        """The head PFN of a naturally aligned block of 2 ** order frames."""
        del gfp, node  # a core tells nothing of zones
        return self.allocate_contiguous(1 << order, 0, 0, 1 << order)

    def allocate_run(self, count: int, gfp: int, node: int) -> Pfns:
        """The PFNs of ``count`` single frames."""
        return np.array([self.allocate(0, gfp, node) for _ in range(count)], dtype=np.int64)

    def allocate_contiguous(self, frames: int, gfp: int, node: int, align: int) -> int:
        """The first PFN of an aligned range; raises MachineError where the room above the core is used up."""
        del gfp, node
        present = self._memory.present
        first = -(-self._next // align) * align
        while True:
            place = int(np.searchsorted(self._taken, first))
            if place == self._taken.size or self._taken[place] >= first + frames:
                break
            first = -(-(int(self._taken[place]) + 1) // align) * align
        index = first - self._memory.first_pfn
        if present is None or index + frames > self._memory.frames:
            raise MachineError(
                f"there is no room for {frames} more new frames above the core's memory",
                where=f"PFN {first:#x}",
                hint="replay cores that lie closer together",
            )
        present[index : index + frames] = True
        self._next = first + frames
        return first

    def table(self, level: Level) -> int:
        """PA of a zeroed table for a level; raises MachineError as for a range of its size."""
        shift = self._memory.page_shift
        frames = max(1, level.table_bytes >> shift)
        pfn = self.allocate_contiguous(frames, 0, 0, frames)
        self._memory.zero(pfn, frames)
        return pfn << shift

    def certain(self, count: int, gfp: int, node: int) -> bool:
        """Never: the frames that a core does not hold may run out, and folio by folio tells where."""
        del count, gfp, node
        return False

    def free(self, pfn: int, order: int) -> None:
        """Take back a block: it is not handed out again."""

    def free_run(self, pfns: Pfns) -> None:
        """Take back frames: they are not handed out again."""

    def split(self, pfn: int, order: int, to_order: int = 0) -> None:
        """Frames are single from the start."""

    def release_reserved(self, pfns: Pfns) -> None:
        """Take back boot frames: they are not handed out."""


class CoreRecords:
    """What struct pages in the core say of single frames; of those that it does not hold, what boot leaves.

    pages, memory  where struct pages are, as the core's own tables map them
    new            where new frames begin: those are the page allocator's
    assumed        PFNs for which something was asked and assumed
    provide        makes struct pages of frames that are handed out, for who needs them; None: nobody does
    """

    def __init__(self, pages: VmemmapPages, memory: PhysicalMemory, layout: StructPageLayout, new: NewFrames) -> None:
        self._memory = memory
        self._layout = layout
        self._new = new
        # kept as it was: frames behind the vmemmap are described by parts of it that HVO leaves alone
        self._struct_pages = pages
        self.assumed: set[int] = set()
        self.provide: Callable[[Pfns], None] | None = None

    def _flags(self, pfns: Pfns) -> tuple[npt.NDArray[np.uint64], Flags]:
        """The flags word of each frame's struct page, and whether the core holds it."""
        memory, shift = self._memory, self._memory.page_shift
        where = pfns * self._layout.size + self._layout.flags
        frames = self._struct_pages.frames_of(where >> shift) - memory.first_pfn
        there = (frames >= 0) & (frames < memory.frames)
        if memory.present is not None:
            there[there] = memory.present[frames[there]]
        inside = (where & ((1 << shift) - 1)) // _WORD
        flags = np.where(there, memory.pages[np.where(there, frames, 0), inside], 0).astype(np.uint64)
        return flags, there

    def known(self, pfns: Pfns) -> Flags:
        """Of which frames the core holds the struct page."""
        return self._flags(pfns)[1]

    def reserved(self, pfns: Pfns) -> Flags:
        """Which frames have PG_reserved set; those whose struct page is not in the core are taken for boot memory."""
        flags, there = self._flags(pfns)
        new = pfns >= self._new.first
        self.assumed.update(pfns[~there & ~new].tolist())
        said = (flags >> np.uint64(self._layout.pg_reserved) & np.uint64(1)).astype(np.bool_)
        return np.where(there, said, True) & ~new

    def self_hosted(self, cpu: Cpu, pfn: int) -> bool:
        """Whether PG_vmemmap_self_hosted is set; False where the struct page is not in the core."""
        del cpu
        flags, there = self._flags(np.array([pfn], dtype=np.int64))
        if not there[0] and pfn < self._new.first:
            self.assumed.add(pfn)
        return bool(there[0]) and bool(int(flags[0]) >> self._layout.pg_vmemmap_self_hosted & 1)

    def any_self_hosted(self, cpu: Cpu, pfns: Pfns) -> bool:
        """Whether PG_vmemmap_self_hosted is set in one of them."""
        return any(self.self_hosted(cpu, pfn) for pfn in pfns.tolist())

    def boot_registered(self, pfns: Pfns) -> Flags:
        """Every frame: the kernel registers the vmemmap of boot, and only boot frames are asked about."""
        return np.ones(pfns.size, dtype=np.bool_)

    def allocated(self, first: int, count: int) -> None:
        """Nothing is written: the struct pages of new frames are not in the core."""
        if self.provide is not None:
            self.provide(np.arange(first, first + count, dtype=np.int64))

    def allocated_run(self, pfns: Pfns) -> None:
        """Nothing is written, as for :meth:`allocated`."""
        if self.provide is not None:
            self.provide(pfns)

    def freed(self, pfns: Pfns) -> None:
        """Nothing is written: what freeing does to struct pages is not HVO's."""

    def freed_one(self, pfn: int) -> None:
        """Nothing is written, as for :meth:`freed`."""
