# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO of a machine that hvolab built, in the form of its release.

Kernel: crash_save_vmcoreinfo_init() in kernel/crash_core.c, v6.1, and kernel/vmcore_info.c, v6.12 and v7.2;
arch_crash_save_vmcoreinfo() of each architecture. Other keys than those that hvolab reads are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hvolab.machine import Machine

#: VA of the kernel's image; hvolab's machines have none, but it would be at the start of RAM.
_IMAGE: Final = 0xFFFFFFFF80000000
#: Numbers that the kernels of each architecture have.
_OF_ARCHITECTURE: Final = {
    "EM_X86_64": ("phys_base", "pgtable_l5_enabled", "sme_mask"),
    "EM_AARCH64": ("VA_BITS", "TCR_EL1_T1SZ", "kimage_voffset"),
    "EM_RISCV": ("VA_BITS", "va_kernel_pa_offset"),
}
#: Bytes of struct zone and struct zoneref.
_ZONE, _ZONEREF = 1536, 16


def vmcoreinfo_of(machine: Machine, kernel: str) -> bytes:
    """Return the text; ``kernel`` is the release as `uname -r` prints it."""
    lines = (f"OSRELEASE={kernel}", *_translation(machine), *_struct_page(machine))
    return "".join(f"{line}\n" for line in lines).encode()


def _translation(machine: Machine) -> Iterator[str]:
    """Yield what leads to the root table and the vmemmap."""
    mode, pages = machine.target.mode, machine.struct_pages
    laid_out = machine.target.architecture.mode(mode.name)
    # the CPU may walk from the last entries of swapper_pg_dir on
    shared = laid_out.levels[0].shift == mode.levels[0].shift
    unused = laid_out.levels[0].table_bytes - mode.levels[0].table_bytes if shared else 0
    distance = _IMAGE - machine.memory.base
    first, end = machine.memory.first_pfn, machine.memory.first_pfn + machine.memory.frames
    yield f"PAGESIZE={mode.page_size}"
    yield f"SYMBOL(swapper_pg_dir)={distance + machine.tables.root - unused:x}"
    yield f"SYMBOL(vmemmap)={pages.va(0):x}"
    yield f"NUMBER(MAX_PHYSMEM_BITS)={mode.pa_bits}"
    yield f"NUMBER(VMEMMAP_START)={pages.va(first):#x}"
    yield f"NUMBER(VMEMMAP_END)={pages.va(end):#x}"
    for name in _OF_ARCHITECTURE[machine.target.architecture.elf_machine]:
        value = {
            "phys_base": str(machine.memory.base),
            "pgtable_l5_enabled": str(int(len(mode.levels) == 5)),
            "sme_mask": "0",
            "VA_BITS": str(laid_out.va_bits),
            "TCR_EL1_T1SZ": hex(64 - mode.va_bits),
            "kimage_voffset": hex(distance),
            "va_kernel_pa_offset": hex(distance),
        }[name]
        yield f"NUMBER({name})={value}"


def _struct_page(machine: Machine) -> Iterator[str]:
    """Yield what describes struct pages, and the mark of hugetlb folios as the release has it."""
    layout = machine.struct_pages.layout
    members = {"flags": layout.flags, "lru": layout.lru_next, "mapping": layout.mapping, "private": layout.private}
    members |= {"_mapcount": layout.page_type, "_refcount": layout.refcount}
    members["compound_info" if layout.masks_compound else "compound_head"] = layout.compound_head
    yield f"SIZE(page)={layout.size}"
    yield from (f"OFFSET(page.{name})={offset}" for name, offset in members.items())
    yield f"NUMBER(PG_head_mask)={1 << layout.pg_head}"
    yield f"NUMBER(PG_hwpoison)={layout.pg_hwpoison}"
    mark = layout.hugetlb_mark
    if mark.page:
        yield f"OFFSET(page.compound_dtor)={mark.offset}"
        yield f"OFFSET(page.compound_order)={layout.folio_order.offset}"
        yield f"NUMBER(HUGETLB_PAGE_DTOR)={layout.hugetlb_set}"
    else:
        yield f"NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)={layout.hugetlb_set - (1 << 32)}"
    if (len(layout.zones) - 1).bit_length() == layout.zone_bits:
        lists = (2 if layout.node_bits else 1) * _ZONEREF * ((len(layout.zones) << layout.node_bits) + 1)
        yield f"SIZE(zone)={_ZONE}"
        yield f"OFFSET(pglist_data.nr_zones)={len(layout.zones) * _ZONE + lists}"
