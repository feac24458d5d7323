"""What struct pages say of single frames, and who keeps that up to date: struct pages themselves, or an assumption."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from hvolab.machine.cpus.bulk import bulk_of
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.struct_pages.pages import StructPages

Pfns = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_FEW = 32  #: so many frames are faster one by one


class PageRecords(Protocol):
    """What HVO and the allocator ask and tell about single frames."""

    def reserved(self, pfns: Pfns) -> Flags:
        """Which frames are reserved. Kernel: PageReserved()."""
        ...

    def self_hosted(self, cpu: Cpu, pfn: int) -> bool:
        """Whether the frame is vmemmap that lies in what it describes. Kernel: PageVmemmapSelfHosted()."""
        ...

    def any_self_hosted(self, cpu: Cpu, pfns: Pfns) -> bool:
        """Whether one of the frames is such vmemmap."""
        ...

    def boot_registered(self, pfns: Pfns) -> Flags:
        """Which boot frames are registered in bootmem_info and can be freed through it."""
        ...

    def allocated(self, first: int, count: int) -> None:
        """``count`` frames from ``first`` on were handed out, each with one reference."""
        ...

    def allocated_run(self, pfns: Pfns) -> None:
        """These single frames were handed out."""
        ...

    def freed(self, pfns: Pfns) -> None:
        """These frames went back to the allocator."""
        ...

    def freed_one(self, pfn: int) -> None:
        """This frame did: single steps free thousands, and without arrays that takes a tenth."""
        ...


class StructPageRecords:
    """Records in the struct pages of the machine."""

    def __init__(self, pages: StructPages, halves: npt.NDArray[np.uint32]) -> None:
        self._pages = pages
        self._layout = pages.layout
        self._halves = halves
        self._words = halves.view(halves.dtype.str[0] + "u8")
        self._reserved = np.uint64(1 << self._layout.pg_reserved)
        self._scalar = pages.memory.scalar
        self._flags, self._refcount = self._layout.flags, self._layout.refcount
        self._not_reserved = ~(1 << self._layout.pg_reserved) & (1 << 64) - 1

    def reserved(self, pfns: Pfns) -> Flags:
        """Which frames have PG_reserved set."""
        flags = self._pages.words(pfns, self._layout.flags)
        reserved: Flags = (flags & self._reserved) != 0
        return reserved

    def self_hosted(self, cpu: Cpu, pfn: int) -> bool:
        """Whether PG_vmemmap_self_hosted is set, read through ``cpu``."""
        flags = cpu.load_word(self._pages.va(pfn) + self._layout.flags)
        return bool(flags >> self._layout.pg_vmemmap_self_hosted & 1)

    def any_self_hosted(self, cpu: Cpu, pfns: Pfns) -> bool:
        """Whether PG_vmemmap_self_hosted is set in one of them, read through ``cpu``."""
        first = self._pages.first_pfn
        offsets = (pfns - first).astype(np.uint64) * np.uint64(self._layout.size)
        flags = bulk_of(cpu).load_words(offsets + np.uint64(self._pages.base + self._layout.flags))
        return bool((flags >> np.uint64(self._layout.pg_vmemmap_self_hosted) & np.uint64(1)).any())

    def boot_registered(self, pfns: Pfns) -> Flags:
        """Which frames carry the type of a section's vmemmap in ``index``."""
        if pfns.size == 1:
            kind = self._pages.word(pfns.item(), self._layout.index)
            return np.array([kind in self._layout.bootmem_types])
        kinds = self._pages.words(pfns, self._layout.index)
        registered = np.zeros(pfns.shape, dtype=np.bool_)
        for kind in self._layout.bootmem_types:  # not np.isin, which takes longer for one frame than freeing it
            registered |= kinds == kind
        return registered

    def allocated(self, first: int, count: int) -> None:
        """Give each frame a reference."""
        if count > 1:
            self.allocated_run(np.arange(first, first + count, dtype=np.int64))
        else:
            self._halves[(self._pages.locate_one(first) + self._layout.refcount) >> 2] = 1

    def allocated_run(self, pfns: Pfns) -> None:
        """Give each frame a reference."""
        if pfns.size > _FEW:
            self._halves[(self._pages.locate(pfns) + self._layout.refcount) >> 2] = 1
            return
        for where in self._pages.locate_few(pfns.tolist()):
            self._halves[(where + self._layout.refcount) >> 2] = 1

    def freed(self, pfns: Pfns) -> None:
        """Take PG_reserved and the last reference away."""
        if pfns.size == 1:
            self.freed_one(pfns.item())
            return
        where = self._pages.locate(pfns)
        self._words[(where + self._layout.flags) >> 3] &= ~self._reserved
        self._halves[(where + self._layout.refcount) >> 2] = 0

    def freed_one(self, pfn: int) -> None:
        """Take PG_reserved and the last reference away."""
        where = self._pages.locate_one(pfn)
        self._scalar[(where + self._flags) >> 3] &= self._not_reserved
        self._halves[(where + self._refcount) >> 2] = 0
