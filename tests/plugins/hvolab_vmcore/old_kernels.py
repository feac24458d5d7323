# SPDX-License-Identifier: GPL-2.0-only
"""Cores of x86_64 with VMCOREINFO, page tables and struct pages as kernels from 5.14 to 6.10 have them.

Everything is written by hand; neither hvolab's engine nor its reader has a part in it. One page table maps the struct
pages of 128 MiB: 64 blocks of 2 MiB, of which the first are huge pages of a pool, optimized or not, then a
transparent huge page, and a folio of a DAX device.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Protocol

from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.torture.elf_writer import Memory, write_core

PAGE, STRUCT, VMEMMAP = 4096, 64, 0xFFFFEA0000000000
BLOCKS, PER_BLOCK, ORDER = 64, 8, 9
#: What each block is; the others are free memory with struct pages of zeros.
OPTIMIZED, NOT_OPTIMIZED, THP, DAX = (0, 1, 2), (3, 4), 5, 6
_ROOT = 0x9000
_TABLES = (_ROOT, _ROOT + 1, _ROOT + 2, _ROOT + 3)
_BOOT, _NEW = 0xA000, 0xB000
_SECTION_ROOTS, _SECTIONS, _IMAGE = 0xC000, 0xC001, 0xFFFFFFFF82000000
_TABLE, _RW, _RO = 0x067, 0x8000000000000163, 0x8000000000000121
_RO_DIRTY = _RO | 1 << 6
_TAIL_MAPPING = 0xDEAD000000000400


class Marks(Protocol):
    """Function that returns bytes of head and first tail by offset in the folio, of a hugetlb folio or another one."""

    def __call__(self, *, hugetlb: bool) -> dict[int, bytes]: ...


@dataclass(frozen=True)
class OldKernel:
    """What differs between kernels.

    release    as `uname -r` prints it
    lines      of VMCOREINFO
    head       bit number of PG_head
    marks      the mark of a hugetlb folio, and the order
    kept       pages of vmemmap of an optimized folio that keep their frame
    read_only  bits of a tail's entry
    dax        folios of DAX devices share a frame for their tails. Kernel: vmemmap_populate_compound_pages(), v5.18
    """

    release: str
    lines: str
    head: int
    marks: Marks
    kept: int = 1
    read_only: int = _RO
    dax: bool = True


def _by_destructor(*, hugetlb: bool) -> dict[int, bytes]:
    """compound_dtor: HUGETLB_PAGE_DTOR is 2, TRANSHUGE_PAGE_DTOR 3; compound_order is the next byte."""
    return {64 + 16: bytes((2 if hugetlb else 3, ORDER))}


def _by_flag(*, hugetlb: bool) -> dict[int, bytes]:
    """PG_hugetlb is PG_active, bit 8, of the first tail; the order is the lowest byte of these flags."""
    return {64: struct.pack("<Q", ORDER | hugetlb << 8)}


def _by_type_bit(*, hugetlb: bool) -> dict[int, bytes]:
    """A page type is a bit that page_type lacks; without one it is the mapcount, which counts from -1."""
    return {48: struct.pack("<I", 0xFFFFF7FF if hugetlb else 0xFFFFFFFF), 64: struct.pack("<Q", ORDER)}


_DTOR = (
    "OFFSET(page.compound_dtor)=16\nOFFSET(page.compound_order)=17\nNUMBER(HUGETLB_PAGE_DTOR)=2\n"
    "NUMBER(PG_head_mask)=65536\n"
)
_FLAG = "NUMBER(PG_hugetlb)=8\nNUMBER(PG_head_mask)=64\n"
KERNELS: Final = {
    "5.14": OldKernel("5.14.0", _DTOR, 16, _by_destructor, kept=2, read_only=_RO_DIRTY, dax=False),
    "6.1": OldKernel("6.1.0", _DTOR, 16, _by_destructor, read_only=_RO_DIRTY),
    "6.6": OldKernel("6.6.0", _FLAG, 6, _by_flag),
    "6.8": OldKernel("6.8.0", _FLAG + f"SYMBOL(vmemmap)={VMEMMAP:x}\n", 6, _by_flag),
    "6.10": OldKernel(
        "6.10.0",
        f"NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-2049\nNUMBER(PG_head_mask)=64\nSYMBOL(vmemmap)={VMEMMAP:x}\n",
        6,
        _by_type_bit,
    ),
}


def note_of(kernel: OldKernel) -> bytes:
    """Return VMCOREINFO; kernels before 6.8 have no SYMBOL(vmemmap), but the sections of memory."""
    return (
        f"OSRELEASE={kernel.release}\nPAGESIZE={PAGE}\nSYMBOL(swapper_pg_dir)={_IMAGE:x}\nNUMBER(pgtable_l5_enabled)=0\n"
        f"NUMBER(phys_base)={_ROOT * PAGE - 0x2000000}\nNUMBER(MAX_PHYSMEM_BITS)=46\nNUMBER(sme_mask)=0\n"
        f"SYMBOL(mem_section)={_IMAGE + PAGE:x}\nLENGTH(mem_section)=2048\nOFFSET(mem_section.section_mem_map)=0\n"
        "SIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page._refcount)=52\nOFFSET(page.mapping)=24\nOFFSET(page.lru)=8\n"
        f"OFFSET(page._mapcount)=48\nOFFSET(page.private)=40\nOFFSET(page.compound_head)=8\n{kernel.lines}"
    ).encode()


def core_of(kernel: OldKernel) -> bytes:
    """Return the core of a kernel."""
    frames: dict[int, bytearray] = {pfn: bytearray(PAGE) for pfn in _TABLES}
    for table, below, index in ((0, 1, 468), (1, 2, 0), (2, 3, 0)):
        struct.pack_into("<Q", frames[_TABLES[table]], 8 * index, _TABLES[below] * PAGE | _TABLE)
    _map_image(frames)
    for block in range(BLOCKS):
        _write_block(kernel, frames, block)
    memory = [Memory(pfn * PAGE, bytes(data), PAGE) for pfn, data in sorted(frames.items())]
    return write_core(memory, (CoreNote("VMCOREINFO", 0, note_of(kernel)),))


def _map_image(frames: dict[int, bytearray]) -> None:
    """Map the page with mem_section, and write the one section that there is."""
    tables = (_ROOT, 0xD000, 0xD001, 0xD002)
    for pfn in (*tables[1:], _SECTION_ROOTS, _SECTIONS):
        frames[pfn] = bytearray(PAGE)
    for level, shift in enumerate((39, 30, 21)):
        slot = (_IMAGE + PAGE) >> shift & 511
        struct.pack_into("<Q", frames[tables[level]], 8 * slot, tables[level + 1] * PAGE | _TABLE)
    slot = (_IMAGE + PAGE) >> 12 & 511
    struct.pack_into("<Q", frames[tables[3]], 8 * slot, _SECTION_ROOTS * PAGE | _RW)
    struct.pack_into("<Q", frames[tables[3]], 8 * (slot + 1), _SECTIONS * PAGE | _RW)
    struct.pack_into("<Q", frames[_SECTION_ROOTS], 0, _IMAGE + 2 * PAGE)
    struct.pack_into("<Q", frames[_SECTIONS], 0, VMEMMAP | 0x1F)


def _write_block(kernel: OldKernel, frames: dict[int, bytearray], block: int) -> None:
    """Map the struct pages of a block, and write them."""
    own = [_BOOT + block * PER_BLOCK + page for page in range(PER_BLOCK)]
    entries = [pfn * PAGE | _RW for pfn in own]
    if block in OPTIMIZED:
        shared = own[kernel.kept - 1]
        entries[kernel.kept :] = [shared * PAGE | kernel.read_only] * (PER_BLOCK - kernel.kept)
    elif block == DAX and kernel.dax:
        entries[1:] = [own[1] * PAGE | _RW] * (PER_BLOCK - 1)
    struct.pack_into(f"<{PER_BLOCK}Q", frames[_TABLES[3]], 8 * block * PER_BLOCK, *entries)
    used = {entry >> 12 & 0xFFFFFFFFFF for entry in entries}
    content = _folio(kernel, block)
    for page, pfn in enumerate(own):
        if pfn in used:
            frames[pfn] = content[page * PAGE : (page + 1) * PAGE]


def _folio(kernel: OldKernel, block: int) -> bytearray:
    """Return the struct pages of a block."""
    content = bytearray(PER_BLOCK * PAGE)
    if block > DAX or (block == DAX and not kernel.dax):
        return content
    head = VMEMMAP + block * PER_BLOCK * PAGE
    for number in range(1, 1 << ORDER):
        struct.pack_into("<2Q", content, number * STRUCT, 0, head | 1)
        struct.pack_into("<Q", content, number * STRUCT + 24, _TAIL_MAPPING)
        struct.pack_into("<I", content, number * STRUCT + 48, 0xFFFFFFFF)
    hugetlb = block in OPTIMIZED + NOT_OPTIMIZED
    struct.pack_into("<Q", content, 0, 1 << kernel.head)
    struct.pack_into("<I", content, 48, 0xFFFFFFFF)
    struct.pack_into("<Q", content, 40, (1 << 3 | (block in OPTIMIZED) << 4) if hugetlb else 0)
    for offset, data in kernel.marks(hugetlb=hugetlb).items():
        content[offset : offset + len(data)] = data
    return content
