# SPDX-License-Identifier: GPL-2.0-only
"""Maker of cores of kernels that were not booted: `python -m tests.plugins.hvolab_vmcore.kernel_cores [IMAGE ...]`.

A kernel's own code, from its image, prepares compound pages, optimizes and restores their vmemmap, and writes the text
of VMCOREINFO, all on an emulated CPU. What its page allocator and its pools would write in struct pages is written
here, at the offsets of the image's types. hvolab's engine has no part in it.
"""

from __future__ import annotations

import argparse
import lzma
import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from hvolab.arch import PgprotRole
from hvolab.hugetlb import Hstate, hstates
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.struct_pages import lists
from hvolab.release.gfp import GFP_HIGHUSER_MOVABLE
from hvolab_kernel.comparison import target_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running import KernelHvo
from hvolab_kernel.running.abi import convention_of
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_vmcore.core.memory import Ints
from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.torture.elf_writer import Memory, write_core
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel
from tests.kernel_images import images_directory
from tests.plugins.hvolab_vmcore.changed_cores import MADE_CORES

#: Sizes of huge pages in bytes.
SMALL, LARGE = 2 << 20, 1 << 30
#: Names of the cores, and what happened before each: a size, and how many huge pages of it there are from then on.
STAGES: Final = {
    "0-boot": (),
    "1-four-2M": ((SMALL, 4),),
    "2-eight-2M": ((SMALL, 8),),
    "3-one-1G": ((LARGE, 1),),
    "4-restored": ((SMALL, 0), (LARGE, 0)),
    "5-optimized-again": ((SMALL, 8), (LARGE, 1)),
}
#: Folder of each image's cores.
MADE: Final = {
    "x86_64-6.1": "x86_64-6.1",
    "x86_64-6.12": "x86_64-6.12.117",
    "x86_64-7.x": "x86_64-7.2",
    "riscv64-6.12": "riscv64-6.12.117",
    "riscv64-7.x": "riscv64-7.2",
}
ELF_NUMBERS: Final = {"EM_X86_64": 62, "EM_AARCH64": 183, "EM_RISCV": 243}
_MEMORY: Final = 3 << 30
#: Pages of vmemmap of a 1 GiB page that is not optimized that a core holds.
_PART: Final = 8
#: Code that only runs at boot, which the loader maps without permission to execute it.
_BOOT_TEXT: Final = ("__init_text_begin", "__init_text_end")
#: VA of PA 0 in the mapping of the image. Kernel: __START_KERNEL_map in arch/x86/include/asm/page_64_types.h, v6.12.
_KERNEL_MAP: Final = 0xFFFFFFFF80000000
_CONVERSION: Final = re.compile(r"%#?0?\d*(?:phN|l*[sdux])")


class KernelMachine:
    """Machine with huge pages of both sizes, on which a kernel's own code runs HVO.

    machine  the machine
    blocks   VA of the first struct page of each block, by size
    counts   how many of them are huge pages, by size
    """

    def __init__(self, kernel: Kernel, blocks: dict[int, int], memory: int = _MEMORY) -> None:
        self.kernel = kernel
        layout = self._layout = struct_page_layout(kernel)
        machine = self.machine = build_machine(target_of(kernel), MachineSpec(memory=memory, layout=layout))
        self._cpu = machine.cpus[0]
        self._hvo = KernelHvo(machine, kernel)
        self._text = vmcoreinfo_text(self._hvo)
        self._lists = [machine.kernel_data(lists.SIZE) for _ in range(2)]
        self.hstates = {h.size: h for h in hstates(machine) if h.size in blocks}
        self.blocks = {size: [self._block(h) for _ in range(blocks[size])] for size, h in self.hstates.items()}
        self.counts = dict.fromkeys(self.blocks, 0)

    def _block(self, h: Hstate) -> int:
        """Allocate a block, and give its struct pages the values of free ones."""
        allocate = self.machine.alloc_contig if h.gigantic else self.machine.alloc_pages
        pfn = allocate(GFP_HIGHUSER_MOVABLE, h.order, 0)
        assert pfn is not None
        where = self.machine.struct_pages.locate(np.arange(pfn, pfn + (1 << h.order), dtype=np.int64))
        self.machine.memory.halves[where + self._layout.refcount >> 2] = 0
        folio = self.machine.struct_pages.va(pfn)
        self._mark_free(h, folio)
        return folio

    # pools

    def set_huge_pages(self, size: int, count: int) -> None:
        """Make huge pages of the first free blocks of a size, or free the last ones, until there are ``count``."""
        if count > self.counts[size]:
            self._grow(self.hstates[size], self.blocks[size][self.counts[size] : count])
        else:
            self._shrink(self.hstates[size], self.blocks[size][count : self.counts[size]])
        self.counts[size] = count

    def _grow(self, h: Hstate, folios: list[int]) -> None:
        """Make huge pages of blocks, optimize them, and put them on the free list of their pool."""
        for folio in folios:
            self._prepare(h, folio)
        if self._hvo.batches:
            self._hvo.optimize_folios(h, self._list_of(folios))
        else:
            for folio in folios:
                self._hvo.optimize_folio(h, folio)
        for folio in folios:
            lists.init(self._cpu, folio + self._layout.lru_next)
            lists.add(self._cpu, folio + self._layout.lru_next, h.freelists[0])
            self._change_private(folio, 1 << self._layout.hpg_freed)

    def _shrink(self, h: Hstate, folios: list[int]) -> None:
        """Restore and free huge pages."""
        for folio in folios:
            lists.delete(self._cpu, folio + self._layout.lru_next)
            self._change_private(folio, 0, drop=1 << self._layout.hpg_freed)
        if self._hvo.batches:
            assert self._hvo.restore_folios(h, self._list_of(folios), self._empty_list(1)) == len(folios)
        else:
            assert not any(self._hvo.restore_folio(h, folio) for folio in folios)
        for folio in folios:
            self._free(h, folio)

    def _prepare(self, h: Hstate, folio: int) -> None:
        """Make a huge page of a block. Kernel: prep_compound_page(), init_new_hugetlb_folio()."""
        self._store(folio, "page", "page_type", 4, 0xFFFFFFFF)
        self._hvo.kernel_cpu.call("prep_compound_page", folio, h.order).required()
        self._store(folio, "page", "private", 8, 0)
        self._mark(folio, hugetlb=True)
        for member in ("_hugetlb_subpool", "_hugetlb_cgroup", "_hugetlb_hwpoison"):
            if self.kernel.types.has_member("folio", member):
                self._store(folio, "folio", member, 8, 0)

    def _mark(self, folio: int, *, hugetlb: bool) -> None:
        """Set or clear the mark of a hugetlb folio: a destructor of the compound page up to v6.6, then a page type."""
        types = self.kernel.types
        destructor = types.find_enumerator("HUGETLB_PAGE_DTOR")
        if destructor is not None:
            plain = types.enumerator("COMPOUND_PAGE_DTOR")
            self._store(folio + self._layout.size, "page", "compound_dtor", 1, destructor if hugetlb else plain)
        else:
            value = types.enumerator("PGTY_hugetlb") << 24 if hugetlb else 0xFFFFFFFF
            self._store(folio, "page", "page_type", 4, value)

    def _free(self, h: Hstate, folio: int) -> None:
        """Free a folio as one block, or its pages one by one if it is gigantic.

        Kernel: free_tail_page_prepare(), which clears mapping and compound_head of each tail, and free_pages_prepare(),
        which clears the fields of the folio in flags; set_buddy_order().
        """
        machine, types = self.machine, self.kernel.types
        self._mark(folio, hugetlb=False)
        pfn = machine.struct_pages.pfn(folio)
        where = machine.struct_pages.locate(np.arange(pfn, pfn + (1 << h.order), dtype=np.int64))
        words = machine.memory.words
        link = "compound_info" if types.has_member("page", "compound_info") else "compound_head"
        for member in ("mapping", link):
            words[where[1:] + types.offset("page", member) >> 3] = 0
        bits = (1 << types.enumerator("PG_head")) | 0xFF
        words[where[:2] >> 3] &= np.uint64(~bits & (1 << 64) - 1)
        self._mark_free(h, folio)

    def _mark_free(self, h: Hstate, folio: int) -> None:
        """Give the first struct page of a block the values of a free block. Kernel: set_buddy_order()."""
        self._store(folio, "page", "private", 8, h.order)
        buddy = self.kernel.types.find_enumerator("PGTY_buddy")
        self._store(folio, "page", "page_type", 4, 0xFFFFFF7F if buddy is None else buddy << 24)
        lists.init(self._cpu, folio + self._layout.lru_next)

    def _store(self, va: int, struct: str, member: str, size: int, value: int) -> None:
        """Store a member of a kernel's struct."""
        order = self.machine.target.architecture.byte_order
        self._cpu.store(va + self.kernel.types.offset(struct, member), value.to_bytes(size, order))

    def _change_private(self, folio: int, bits: int, *, drop: int = 0) -> None:
        va = folio + self._layout.private
        self._cpu.store_word(va, self._cpu.load_word(va) & ~drop | bits)

    def _empty_list(self, number: int) -> int:
        lists.init(self._cpu, self._lists[number])
        return self._lists[number]

    def _list_of(self, folios: list[int]) -> int:
        head = self._empty_list(0)
        for folio in folios:
            node = folio + self._layout.lru_next
            lists.init(self._cpu, node)
            lists.add_tail(self._cpu, node, head)
        return head

    # cores

    def note(self) -> bytes:
        """Return VMCOREINFO: the kernel's text, with the numbers that lead to the machine's root table."""
        text, machine = self._text, self.machine
        root = int(re.search(r"SYMBOL\(swapper_pg_dir\)=(\w+)", text)[1], 16)  # type: ignore[index]
        for number, value in (
            ("phys_base", str(machine.tables.root - (root - _KERNEL_MAP))),
            ("va_kernel_pa_offset", hex(root - machine.tables.root & (1 << 64) - 1)),
        ):
            text = re.sub(rf"(?<=^NUMBER\({number}\)=)\S+", value, text, flags=re.MULTILINE)
        return text.encode()

    def core(self, *, whole: bool = False) -> bytes:
        """Return a core: page tables and frames of the vmemmap of all blocks, or the whole memory."""
        frames = self._used_frames() if whole else np.unique(np.concatenate(list(self._frames())))
        machine, shift = self.machine, self.machine.target.mode.page_shift
        memory = [
            Memory(start, machine.memory.view(start, run.size << shift).tobytes(), run.size << shift)
            for run in np.split(frames, np.flatnonzero(np.diff(frames) != 1) + 1)
            for start in (int(run[0]) << shift,)
        ]
        number = ELF_NUMBERS[machine.target.architecture.elf_machine]
        return write_core(memory, (CoreNote("VMCOREINFO", 0, self.note()),), machine=number)

    def _frames(self) -> Iterator[Ints]:
        """Return the frames of page tables on the way to each block's vmemmap, and those behind it.

        Of a large block whose pages of vmemmap do not share a frame only the first ones are returned.
        """
        machine, mode = self.machine, self.machine.target.mode
        for size, folios in self.blocks.items():
            count = (self._layout.size << self.hstates[size].order) // mode.page_size
            for folio in folios:
                end = folio + count * mode.page_size
                steps = (step for va in range(folio, end, 8 * mode.page_size) for step in machine.tables.walk(va))
                yield np.array(sorted({step.slot >> mode.page_shift for step in steps}), dtype=np.int64)
                frames = machine.tables.frames(folio, count)
                yield frames if np.unique(frames).size < count else frames[:_PART]

    def _used_frames(self) -> Ints:
        """Return the frames that have other bytes than zero."""
        pages = self.machine.memory.pages
        used = [first + np.flatnonzero(pages[first : first + 4096].any(axis=1)) for first in range(0, len(pages), 4096)]
        return np.concatenate(used) + self.machine.memory.first_pfn


def vmcoreinfo_text(hvo: KernelHvo) -> str:
    """Return VMCOREINFO as the kernel's own crash_save_vmcoreinfo_init() writes it."""
    cpu = hvo.kernel_cpu
    loaded, symbols = cpu.loaded, hvo.kernel.symbols
    _make_boot_text_executable(loaded)
    lines: list[str] = []

    def append(pointer: int, *values: int) -> None:
        rest = iter(values)
        lines.append(_CONVERSION.sub(lambda match: _printed(loaded, match[0], next(rest)), loaded.read_text(pointer)))

    va = symbols.address("vmcoreinfo_append_str")
    loaded.replace(va, convention_of(hvo.kernel.image.machine).returning)
    cpu.trace_at(va, append, 4)
    with hvo.machine.trace.listen(lambda _: None):
        cpu.call("crash_save_vmcoreinfo_init").required()
    return "".join(lines)


def _printed(loaded: LoadedKernel, conversion: str, value: int) -> str:
    """Return a value as printf() prints it; BUILD-ID is not in an image before it has booted."""
    if conversion.endswith("phN"):
        return "00" * 20
    if conversion.endswith("s"):
        return loaded.read_text(value)
    if conversion.endswith("x"):
        return f"{value:#x}" if "#" in conversion else f"{value:x}"
    bits = 64 if "l" in conversion else 32
    value &= (1 << bits) - 1
    return str(value - (value >> bits - 1 << bits) if conversion.endswith("d") else value)


def _make_boot_text_executable(loaded: LoadedKernel) -> None:
    """Map code that only runs at boot as executable."""
    start, end = map(loaded.kernel.symbols.find, _BOOT_TEXT)
    if start is None or end is None:
        return
    page, target = loaded.tables.target.mode.page_size, loaded.tables.target
    first, pages = start // page, -(-end // page) - start // page
    pfn = loaded.pa(first * page) // page
    loaded.tables.map_leaves(first * page, pfn, pages, target.mode.last.name, PgprotRole.KERNEL_EXEC, loaded._new_table)


def cores_of(kernel: Kernel, *, whole: bool = False) -> Iterator[bytes]:
    """Return the core of every stage in turn."""
    one = KernelMachine(kernel, {SMALL: 8, LARGE: 1})
    for steps in STAGES.values():
        for size, count in steps:
            one.set_huge_pages(size, count)
        yield one.core(whole=whole)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="*", default=list(MADE))
    for name in parser.parse_args(arguments).image:
        folder = MADE_CORES / MADE[name]
        folder.mkdir(parents=True, exist_ok=True)
        kernel = open_kernel(images_directory() / f"{name}.image")
        for stage, content in zip(STAGES, cores_of(kernel), strict=True):
            (folder / f"{stage}.core.xz").write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
