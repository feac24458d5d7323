# SPDX-License-Identifier: GPL-2.0-only
"""Machine with optimized and other huge pages, its memory as far as a small dump has it, and its right answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from hvolab.arch import Access, Target
from hvolab.arrays import runs
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo, VmemmapSizes
from hvolab.machine import MachineSpec, build_machine
from hvolab.release.gfp import GFP_KERNEL
from hvolab_vmcore.core.memory import Ints
from hvolab_vmcore.torture.answers import HugePageAnswer, Translation
from hvolab_vmcore.torture.note import vmcoreinfo_of

#: Huge pages that are not optimized, and those that are.
_PLAIN, _OPTIMIZED = 1, 3
_SMALLEST: Final = 256 << 20


class TortureMachine:
    """Machine of one target.

    target   what it was built for
    kernel   release of its kernel
    machine  the machine
    note     its VMCOREINFO, which is in a page of its memory as well
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        mode = target.mode
        self.kernel = f"{target.release}.0-torture"
        shift, struct_page = mode.page_shift, target.struct_page.size
        sizes = (
            VmemmapSizes(huge.size.bit_length() - 1 - shift, mode.page_size, struct_page) for huge in mode.huge_pages
        )
        size = mode.page_size << next(one.order for one in sizes if one.optimizable)
        memory = max(_SMALLEST, 2 * (_PLAIN + _OPTIMIZED) * size)
        self.machine = build_machine(target, MachineSpec(memory=memory))
        (h,) = (h for h in hstates(self.machine) if h.size == size)
        self._pool = Pool(self.machine, h, Hvo(self.machine))
        self.machine.optimize_enabled = False
        self._pool.set_max_huge_pages(_PLAIN)
        self.machine.optimize_enabled = True
        self._pool.set_max_huge_pages(_PLAIN + _OPTIMIZED)
        self.note = vmcoreinfo_of(self.machine, self.kernel)
        self._note_pfn = self._write_note()

    def _write_note(self) -> int:
        """Allocate a page, write VMCOREINFO to it as the kernel does at boot, and return its PFN."""
        pfn = self.machine.alloc_pages(GFP_KERNEL, 0, 0)
        if pfn is None:
            raise AssertionError("a new machine has no free page")
        view = self.machine.memory.view(pfn << self.target.mode.page_shift, len(self.note))
        view[:] = np.frombuffer(self.note, np.uint8)
        return pfn

    @property
    def frames_saved(self) -> int:
        """Frames that HVO freed: those behind the vmemmap of all optimized huge pages, less those that it still has."""
        sizes = [one for one in self.huge_pages() if one.optimized]
        pages = sum(part.pages for one in sizes for part in one.vmemmap)
        frames = [self._frames(one.pfn) for one in sizes]
        return pages - int(np.unique(np.concatenate(frames)).size) if frames else 0

    def _frames(self, pfn: int) -> Ints:
        """Return the frames behind the struct pages of the huge page at a PFN."""
        va, h = self.machine.struct_pages.va(pfn), self._pool.h
        count = self.machine.struct_pages.layout.size << h.order
        return self.machine.tables.frames(va, count >> self.target.mode.page_shift)

    def huge_pages(self) -> tuple[HugePageAnswer, ...]:
        """Return all huge pages in order of PFN, with the mapping of their struct pages."""
        pages, h = self.machine.struct_pages, self._pool.h
        pfns = sorted(pages.pfn(folio) for folio in self._pool.live)
        return tuple(
            HugePageAnswer(pfn, h.size, 0, self._is_optimized(pfn), tuple(self._translations(pfn))) for pfn in pfns
        )

    def _is_optimized(self, pfn: int) -> bool:
        frames = self._frames(pfn)
        return bool(np.unique(frames).size < frames.size)

    def _translations(self, pfn: int) -> Iterator[Translation]:
        """Yield the mapping of the struct pages of a huge page, in runs."""
        shift, frames = self.target.mode.page_shift, self._frames(pfn)
        first = self.machine.struct_pages.va(pfn)
        vas = [first + (page << shift) for page in range(frames.size)]
        writable = np.array([self._writable(va) for va in vas])
        splits = (np.diff(frames) != 0) | np.diff(writable)
        for start, stop in zip(*runs(splits, frames.size), strict=True):
            yield Translation(vas[start], int(stop - start), int(frames[start]), bool(writable[start]))

    def _writable(self, va: int) -> bool:
        *tables, leaf = self.machine.tables.walk(va)
        return bool(self.target.allowed(leaf.raw, tuple(step.raw for step in tables)) & Access.WRITE)

    def pages(self) -> dict[int, bytes]:
        """Return the pages of a dump by PFN: tables on the way to the huge pages' struct pages, these, and the note."""
        machine, shift = self.machine, self.target.mode.page_shift
        held = {self._note_pfn, machine.tables.root >> shift}
        for one in self.huge_pages():
            held.update(self._frames(one.pfn).tolist())
            for part in one.vmemmap:
                for page in range(part.pages):
                    held.update(step.slot >> shift for step in machine.tables.walk(part.va + (page << shift)))
        page_size = 1 << shift
        return {pfn: machine.memory.view(pfn << shift, page_size).tobytes() for pfn in sorted(held)}
