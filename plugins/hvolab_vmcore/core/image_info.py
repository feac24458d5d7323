# SPDX-License-Identifier: GPL-2.0-only
"""Lines of VMCOREINFO that a kernel's image has: release, layouts, numbers and symbols, where a dump lacks them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from hvolab.arch import Architecture
from hvolab.errors import UsageError
from hvolab_vmcore.files.dump import Dump
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel

#: Structs and members whose offsets VMCOREINFO has, of those that matter here.
_MEMBERS: Final = (
    *(("page", name) for name in ("flags", "lru", "_mapcount", "_refcount", "mapping", "private")),
    *(("page", name) for name in ("compound_head", "compound_info", "compound_dtor", "compound_order")),
    ("mem_section", "section_mem_map"),
    ("pglist_data", "nr_zones"),
)
_SIZES: Final = ("page", "zone", "mem_section")
_FLAGS: Final = ("PG_lru", "PG_private", "PG_swapcache", "PG_swapbacked", "PG_slab", "PG_hwpoison", "PG_hugetlb")
#: Page types, since v6.11 the highest byte of ``page_type``. Kernel: enum pagetype, v6.12.
_TYPES: Final = {
    "PGTY_hugetlb": "PAGE_HUGETLB_MAPCOUNT_VALUE",
    "PGTY_buddy": "PAGE_BUDDY_MAPCOUNT_VALUE",
    "PGTY_slab": "PAGE_SLAB_MAPCOUNT_VALUE",
    "PGTY_offline": "PAGE_OFFLINE_MAPCOUNT_VALUE",
}
#: Type and owner of the note with the build ID, and its bytes; most bytes of notes that are searched.
_BUILD_ID: Final = b"\x03\0\0\0GNU\0"
_BUILD_ID_SIZE: Final = 20
_MOST_NOTES: Final = 1 << 16
#: Symbols, by the names that they have in VMCOREINFO, and those of images.
_SYMBOLS: Final = {"swapper_pg_dir": ("swapper_pg_dir", "init_top_pgt"), "mem_section": ("mem_section",)}


def with_image(dump: Dump, path: Path, architecture: Architecture, page_size: int | None) -> Dump:
    """Return the dump with what the image of its kernel has and its VMCOREINFO lacks.

    page_size  bytes of a base page, for a dump without VMCOREINFO; None: unknown, and then the image is of no use
    Raises KernelImageError for a file that is not a kernel, UsageError for one of another kernel.
    """
    kernel, info = open_kernel(path), dump.vmcoreinfo
    _check_same_build(dump, path, kernel, architecture)
    if info is None:
        if page_size is None:
            return dump
        info = VmcoreInfo("", page_size, MappingProxyType({}), MappingProxyType({}))
    added = {key: value for key, value in _lines(kernel, info) if key not in info.values}
    values = MappingProxyType({**added, **info.values})
    note = f"from the image: {len(added)} values that VMCOREINFO lacks"
    found = replace(info, osrelease=info.osrelease or kernel.image.release, values=values)
    return replace(dump, vmcoreinfo=found, warnings=(*dump.warnings, *([note] if added else [])))


def _check_same_build(dump: Dump, path: Path, kernel: Kernel, architecture: Architecture) -> None:
    """Raise UsageError for an image of another architecture, release or build than the dump's."""
    info = dump.vmcoreinfo
    release, build = ("", "") if info is None else (info.osrelease, info.raw.get("BUILD-ID", ""))
    ours = (architecture.elf_machine, release, build)
    theirs = (kernel.image.machine, kernel.image.release, build_id(kernel))
    if any(mine and other and mine != other for mine, other in zip(ours, theirs, strict=True)):
        words = [
            ", ".join(part for part in (parts[1] or "unknown", parts[0], parts[2]) if part) for parts in (ours, theirs)
        ]
        raise UsageError(
            f"the dump is of kernel {words[0]}; the image is of {words[1]}",
            where=f"{dump.path} and {path}",
            rule="layouts and symbols are those of one build",
            hint="name the image from which the dump's kernel was booted",
        )


def build_id(kernel: Kernel) -> str:
    """Return the build ID in the notes of an image, in hex; empty: it has none. Kernel: vmlinux_build_id, v6.12."""
    bounds = [None if kernel.table is None else kernel.table.find(name) for name in ("__start_notes", "__stop_notes")]
    start, stop = bounds
    if start is None or stop is None or not 0 < stop - start <= _MOST_NOTES:
        return ""
    _, mark, data = bytes(kernel.image.read(start, stop - start)).partition(_BUILD_ID)
    return data[:_BUILD_ID_SIZE].hex() if mark else ""


def _lines(kernel: Kernel, info: VmcoreInfo) -> Iterator[tuple[str, int]]:
    """Yield keys and values of the image; symbols only where the dump shows how far KASLR moved them."""
    if kernel.btf is not None:
        yield from _of_types(kernel)
    moved = info.values.get("KERNELOFFSET")
    for name, alternatives in _SYMBOLS.items() if moved is not None and kernel.table is not None else ():
        addresses = (kernel.symbols.find(one) for one in alternatives)
        if (va := next((one for one in addresses if one is not None), None)) is not None:
            yield f"SYMBOL({name})", va + (moved or 0)


def _of_types(kernel: Kernel) -> Iterator[tuple[str, int]]:
    """Yield sizes, offsets and numbers."""
    types = kernel.types
    yield from ((f"SIZE({name})", layout.size) for name in _SIZES if (layout := types.find(name)) is not None)
    for struct, member in _MEMBERS:
        if types.has_member(struct, member):
            yield f"OFFSET({struct}.{member})", types.offset(struct, member)
    if (head := types.find_enumerator("PG_head")) is not None:
        yield "NUMBER(PG_head_mask)", 1 << head
    for name in _FLAGS:
        if (bit := types.find_enumerator(name)) is not None:
            yield f"NUMBER({name})", bit
    if (destructor := types.find_enumerator("HUGETLB_PAGE_DTOR")) is not None:
        yield "NUMBER(HUGETLB_PAGE_DTOR)", destructor
    for name, key in _TYPES.items():
        if (number := types.find_enumerator(name)) is not None:
            yield f"NUMBER({key})", (number << 24) - (1 << 32)
