# SPDX-License-Identifier: GPL-2.0-only
"""Per-frame flags and references in struct pages (reserved, self-hosted), and their updates."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from hvolab.machine.cpus.bulk import bulk_of
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.struct_pages.pages import StructPages

Pfns = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class PageRecords(Protocol):
    """Flags of single frames, which HVO reads, and references, which allocating and freeing change."""

    def reserved(self, pfns: Pfns) -> Flags:
        """Return for each frame whether it is reserved. Kernel: PageReserved()."""
        ...

    def self_hosted(self, cpu: Cpu, pfn: int) -> bool:
        """Return whether a frame is vmemmap of the memory that it is part of. Kernel: PageVmemmapSelfHosted()."""
        ...

    def any_self_hosted(self, cpu: Cpu, pfns: Pfns) -> bool:
        """Return whether one of the frames is such vmemmap."""
        ...

    def boot_registered(self, pfns: Pfns) -> Flags:
        """Return for each boot frame whether bootmem_info has it, so that it can be freed."""
        ...

    def boot_registered_one(self, pfn: int) -> bool:
        """Return the same for one boot frame."""
        ...

    def allocated(self, first: int, count: int) -> None:
        """Record that ``count`` frames from ``first`` on are allocated, each with one reference."""
        ...

    def allocated_run(self, pfns: Pfns) -> None:
        """Record that these frames are allocated, each with one reference."""
        ...

    def freed(self, pfns: Pfns) -> None:
        """Record that these frames are free."""
        ...

    def freed_at(self, flags: int, references: int) -> None:
        """Record that the frame is free that has flags and _refcount at these places in memory."""
        ...


class StructPageRecords:
    """Flags and references in the struct pages of a machine."""

    def __init__(self, pages: StructPages, halves: npt.NDArray[np.uint32]) -> None:
        self._pages = pages
        self._layout = pages.layout
        self._halves = halves
        self._words = halves.view(halves.dtype.str[0] + "u8")
        self._reserved = np.uint64(1 << self._layout.pg_reserved)
        self._scalar, self._half_scalar = pages.memory.scalar, pages.memory.half_scalar
        self._flags, self._refcount, self._straddles = pages.layout.flags, pages.layout.refcount, pages.layout.straddles
        self._not_reserved = ~(1 << self._layout.pg_reserved) & (1 << 64) - 1

    def reserved(self, pfns: Pfns) -> Flags:
        """Return for each frame whether PG_reserved is set."""
        if pfns.size == 1:  # without arrays, as freed_at()
            return np.array([self._pages.word(pfns.item(), self._layout.flags) >> self._layout.pg_reserved & 1 != 0])
        flags = self._pages.words(pfns, self._layout.flags)
        reserved: Flags = (flags & self._reserved) != 0
        return reserved

    def self_hosted(self, cpu: Cpu, pfn: int) -> bool:
        """Return whether PG_vmemmap_self_hosted is set, read through ``cpu``."""
        flags = cpu.load_word(self._pages.va(pfn) + self._layout.flags)
        return bool(flags >> self._layout.pg_vmemmap_self_hosted & 1)

    def any_self_hosted(self, cpu: Cpu, pfns: Pfns) -> bool:
        """Return whether PG_vmemmap_self_hosted is set for one of the frames, read through ``cpu``."""
        first = self._pages.first_pfn
        offsets = (pfns - first).astype(np.uint64) * np.uint64(self._layout.size)
        flags = bulk_of(cpu).load_words(offsets + np.uint64(self._pages.base + self._layout.flags))
        return bool((flags >> np.uint64(self._layout.pg_vmemmap_self_hosted) & np.uint64(1)).any())

    def boot_registered(self, pfns: Pfns) -> Flags:
        """Return for each boot frame whether it is marked as a section's vmemmap."""
        kinds = self._pages.words(pfns, self._layout.index) & np.uint64(self._layout.bootmem_mask)
        registered = np.zeros(pfns.shape, dtype=np.bool_)
        for kind in self._layout.bootmem_types:
            registered |= kinds == kind
        return registered

    def boot_registered_one(self, pfn: int) -> bool:
        """Return whether one boot frame is marked as a section's vmemmap."""
        return self._pages.word(pfn, self._layout.index) & self._layout.bootmem_mask in self._layout.bootmem_types

    def allocated(self, first: int, count: int) -> None:
        """Set one reference for each of ``count`` allocated frames from ``first`` on."""
        if count == 1:  # without arrays, as freed_at()
            self._half_scalar[self._pages.locate_one(first, self._refcount) >> 2] = 1
        else:
            self.allocated_run(np.arange(first, first + count, dtype=np.int64))

    def allocated_run(self, pfns: Pfns) -> None:
        """Set one reference for each allocated frame."""
        self._halves[self._pages.locate(pfns, self._refcount) >> 2] = 1

    def freed(self, pfns: Pfns) -> None:
        """Clear PG_reserved and the references of freed frames."""
        where = self._pages.locate(pfns)
        references = self._pages.locate(pfns, self._refcount) if self._straddles else where + self._refcount
        self._words[(where + self._flags) >> 3] &= ~self._reserved
        self._halves[references >> 2] = 0

    def freed_at(self, flags: int, references: int) -> None:
        """Clear PG_reserved and the references of one freed frame, without arrays: single steps free thousands."""
        self._scalar[flags >> 3] &= self._not_reserved
        self._half_scalar[references >> 2] = 0
