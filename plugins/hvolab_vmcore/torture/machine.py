# SPDX-License-Identifier: GPL-2.0-only
"""Machine with optimized and other huge pages, its memory as far as a small dump has it, and its right answers."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from hvolab.arch import Access, Target
from hvolab.arrays import runs
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo, VmemmapSizes
from hvolab.machine import MachineSpec, build_machine
from hvolab.release.gfp import GFP_KERNEL
from hvolab_vmcore.torture.answers import HugePageAnswer, Translation
from hvolab_vmcore.torture.note import vmcoreinfo_of

#: Huge pages that are not optimized, and those that are.
_PLAIN, _OPTIMIZED = 1, 3
_SMALLEST: Final = 256 << 20
#: Largest huge page beyond the smallest size.
_GIGANTIC: Final = 1 << 30


class TortureMachine:
    """Machine of one target.

    target   what it was built for; gigantic: with a huge page of the largest size up to 1 GiB, too
    kernel   release of its kernel
    machine  the machine
    note     its VMCOREINFO, which is in a page of its memory as well
    """

    def __init__(self, target: Target, *, gigantic: bool = False) -> None:
        self.target = target
        self.kernel = f"{target.release}.0-torture"
        smallest, *larger = optimizable_sizes(target)
        sizes = {smallest: _PLAIN + _OPTIMIZED} | dict.fromkeys(larger[-1:] if gigantic else (), 1)
        memory = max(_SMALLEST, 2 * sum(size * count for size, count in sizes.items()))
        self.machine = build_machine(target, MachineSpec(memory=memory, deferred_struct_pages=True))
        hvo = Hvo(self.machine)
        self._pools = [Pool(self.machine, h, hvo) for h in hstates(self.machine) if h.size in sizes]
        for pool in reversed(self._pools):  # gigantic pages first: they need memory in one piece
            if pool.h.size == smallest:
                self.machine.optimize_enabled = False
                pool.set_max_huge_pages(_PLAIN)
                self.machine.optimize_enabled = True
            pool.set_max_huge_pages(sizes[pool.h.size])
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

    @cached_property
    def frames_saved(self) -> int:
        """Frames that HVO freed: those behind the vmemmap of all optimized huge pages, less those that it still has."""
        optimized = [one for one in self.huge_pages if one.optimized]
        pages = sum(part.pages for one in optimized for part in one.vmemmap)
        return pages - len({part.pfn for one in optimized for part in one.vmemmap})

    @cached_property
    def huge_pages(self) -> tuple[HugePageAnswer, ...]:
        """All huge pages in order of PFN, with the mapping of their struct pages."""
        pages = self.machine.struct_pages
        found = [(pages.pfn(folio), pool.h.size) for pool in self._pools for folio in pool.live]
        return tuple(self._answer(pfn, size) for pfn, size in sorted(found))

    def _answer(self, pfn: int, size: int) -> HugePageAnswer:
        """Return the answers about a huge page; optimized: pages of vmemmap share a frame."""
        shift, first = self.target.mode.page_shift, self.machine.struct_pages.va(pfn)
        count = (size >> shift) * self.machine.struct_pages.layout.size >> shift
        frames = self.machine.tables.frames(first, count)
        walks = [self.machine.tables.walk(first + (page << shift)) for page in range(count)]
        writable = np.array([self._writable(tuple(step.raw for step in walk)) for walk in walks])
        splits = (np.diff(frames) != 0) | np.diff(writable)
        parts = tuple(
            Translation(first + (int(start) << shift), int(stop - start), int(frames[start]), bool(writable[start]))
            for start, stop in zip(*runs(splits, count), strict=True)
        )
        return HugePageAnswer(pfn, size, 0, bool(np.unique(frames).size < count), parts)

    def _writable(self, raws: tuple[int, ...]) -> bool:
        """Return whether the entries of a walk allow a store."""
        return bool(self.target.allowed(raws[-1], raws[:-1]) & Access.WRITE)

    @cached_property
    def pages(self) -> dict[int, bytes]:
        """Pages of a dump by PFN: tables on the way to the huge pages' struct pages, these, and the note."""
        machine, shift = self.machine, self.target.mode.page_shift
        held, table = {self._note_pfn, machine.tables.root >> shift}, self.target.mode.levels[-2].size
        for one in self.huge_pages:
            start, end = one.vmemmap[0].va, one.vmemmap[-1].va + (one.vmemmap[-1].pages << shift)
            held.update(part.pfn for part in one.vmemmap)
            for va in (start, *range((start // table + 1) * table, end, table)):
                for step in machine.tables.walk(va):
                    first = step.slot - step.slot % step.level.table_bytes
                    held.update(pa >> shift for pa in range(first, first + step.level.table_bytes, 1 << shift))
        page_size = 1 << shift
        return {pfn: machine.memory.view(pfn << shift, page_size).tobytes() for pfn in sorted(held)}


def optimizable_sizes(target: Target) -> list[int]:
    """Return the sizes of huge pages that HVO can optimize and that fit a small machine, ascending."""
    mode = target.mode
    orders = (huge.size.bit_length() - 1 - mode.page_shift for huge in mode.huge_pages)
    sizes = [VmemmapSizes(order, mode.page_size, target.struct_page.size) for order in orders]
    found = [mode.page_size << one.order for one in sizes if one.optimizable]
    return [found[0], *(size for size in found[1:] if size <= _GIGANTIC)]
