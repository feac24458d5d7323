# SPDX-License-Identifier: GPL-2.0-only
"""Location of the vmemmap in a core: from VMCOREINFO, from sections of memory, or as the paging mode declares it."""

from __future__ import annotations

from hvolab.arch import EntryKind, LinearOrigin
from hvolab.errors import AbsentMemoryError
from hvolab.machine import PageTables
from hvolab_vmcore.files.dump import Dump

#: Bytes of a pointer, and the most roots of sections that are searched for one that is there.
_POINTER, _MOST_ROOTS = 8, 1 << 13


def vmemmap_of(core: Dump, tables: PageTables) -> int | None:
    """Return the VA of the struct page of PFN 0; None where the core does not show it.

    VMCOREINFO of v6.1 has no SYMBOL(vmemmap). Then the map of a section of memory has it, if the core holds one;
    else, also without VMCOREINFO, it is where the paging mode declares it, if something is mapped there.
    Kernel: CONFIG_SPARSEMEM_EXTREME; sparse_encode_mem_map() in mm/sparse.c, v6.1, whose result is the struct page of
    PFN 0 where the vmemmap is virtually contiguous, with flags in its low bits.
    """
    info = core.vmcoreinfo
    if info is None:
        return _declared(tables)
    if (noted := info.symbol("vmemmap")) is not None:
        return noted
    return _from_sections(core, tables) or _declared(tables)


def _from_sections(core: Dump, tables: PageTables) -> int | None:
    """Return the struct page of PFN 0 from the first section that the core holds."""
    info = core.vmcoreinfo
    roots = None if info is None else info.symbol("mem_section")
    offset = None if info is None else info.offset("mem_section.section_mem_map")
    if info is None or not roots or offset is None:
        return None
    count = min(info.values.get("LENGTH(mem_section)", 1), _MOST_ROOTS)
    for index in range(count):
        root = _word(tables, roots + index * _POINTER)
        if root is None:
            return None
        if root and (coded := _word(tables, root + offset)):
            return coded & -info.page_size
    return None


def _declared(tables: PageTables) -> int | None:
    """Return the struct page of PFN 0 where the paging mode declares the vmemmap, if something is mapped there."""
    mode = tables.target.mode
    if mode.origin is LinearOrigin.RAM:
        return None
    top = mode.levels[0]
    raw = tables.memory.read_entry(tables.root + top.index(mode.vmemmap_base) * top.entry_bytes)
    return mode.vmemmap_base if mode.format.classify(top.name, raw) is EntryKind.TABLE else None


def _word(tables: PageTables, va: int) -> int | None:
    """Return the word at a VA; None where the core does not hold it."""
    mode = tables.target.mode
    try:
        frame = tables.frame_of(va)
        pa = None if frame is None else (frame << mode.page_shift) + va % mode.page_size
        return None if pa is None or pa % _POINTER else tables.memory.read_word(pa)
    except AbsentMemoryError:
        return None
