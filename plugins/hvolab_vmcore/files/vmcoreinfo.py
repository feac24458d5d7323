# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO: the note in which a kernel describes itself to readers of its memory cores.

Lines `KEY=VALUE`, and `SYMBOL(name)=`, `SIZE(type)=`, `OFFSET(type.member)=`, `LENGTH(array)=`, `NUMBER(name)=`.
Keys in the captures of 6.12.107 that matter to HVO:

each     OSRELEASE, BUILD-ID, PAGESIZE, SYMBOL(swapper_pg_dir, _stext, vmemmap, mem_section), SIZE(page, mem_section),
         OFFSET(page.flags, ._refcount, .mapping, .lru, ._mapcount, .private, .compound_head),
         NUMBER(SECTION_SIZE_BITS, MAX_PHYSMEM_BITS, VMALLOC_START, PG_head_mask, PAGE_HUGETLB_MAPCOUNT_VALUE)
x86_64   SYMBOL(init_top_pgt), NUMBER(phys_base, pgtable_l5_enabled, KERNEL_IMAGE_SIZE, sme_mask), KERNELOFFSET
arm64    NUMBER(VA_BITS, VMEMMAP_START, VMEMMAP_END, VMALLOC_END, MODULES_VADDR, MODULES_END, kimage_voffset,
         PHYS_OFFSET, TCR_EL1_T1SZ, KERNELPACMASK), KERNELOFFSET
riscv64  NUMBER(VA_BITS, VMEMMAP_START, VMEMMAP_END, VMALLOC_END, MODULES_VADDR, MODULES_END, PAGE_OFFSET,
         phys_ram_base, KERNEL_LINK_ADDR, va_kernel_pa_offset), no KERNELOFFSET

Others have, as crash_save_vmcoreinfo_init() of Debian's images writes them:

6.1      OFFSET(page.compound_dtor, .compound_order) and NUMBER(HUGETLB_PAGE_DTOR) instead of
         NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE); no SYMBOL(vmemmap)
7.2      OFFSET(page.compound_info) instead of OFFSET(page.compound_head); riscv64 also KERNELOFFSET and NUMBER(satp)

SYMBOL(vmemmap) is the VA of the struct page of PFN 0, not of a pointer variable. Where memory does not begin
at PA 0, it is below NUMBER(VMEMMAP_START) by SIZE(page) times the PFN that VMEMMAP_START describes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hvolab.errors import CoreFileError

_RULE = "Documentation/admin-guide/kdump/vmcoreinfo.rst and include/linux/vmcore_info.h, v6.12"
_HINT = "dump the memory again: a damaged note is not reliable"

_HEX = (re.compile(r"[0-9a-fA-F]{1,16}"), 16, "not hexadecimal")
_UNSIGNED = (re.compile(r"[0-9]{1,20}"), 10, "not an unsigned decimal number")
_SIGNED = re.compile(r"-?[0-9]{1,20}|0x[0-9a-fA-F]{1,16}")
#: Keys and kinds of keys that have an integer: pattern, base without 0x, and the error.
_FORMS = {
    **dict.fromkeys(("KERNELOFFSET", "SYMBOL()"), _HEX),
    **dict.fromkeys(("PAGESIZE", "SIZE()", "OFFSET()", "LENGTH()"), _UNSIGNED),
    "NUMBER()": (_SIGNED, 10, "not a decimal number, nor a hexadecimal one with 0x"),
}
_LINE = re.compile(r"(?P<key>(?P<kind>[A-Za-z0-9_.-]+)(?:\((?P<name>[^()=]+)\))?)=(?P<value>.*)")


@dataclass(frozen=True)
class VmcoreInfo:
    """Parsed VMCOREINFO. The accessors by name return None for a key that the note does not have.

    osrelease  the kernel's release, as `uname -r` prints it
    page_size  bytes of its base page
    raw        all lines, key to value, as written
    values     the lines that have an integer by their key, key to integer
    """

    osrelease: str
    page_size: int
    raw: Mapping[str, str]
    values: Mapping[str, int]

    def symbol(self, name: str) -> int | None:
        """Return the VA of a kernel symbol; for `vmemmap`, the VA of the struct page of PFN 0."""
        return self.values.get(f"SYMBOL({name})")

    def number(self, name: str) -> int | None:
        """Return a number: signed if the kernel writes it in decimal, unsigned if in hex."""
        return self.values.get(f"NUMBER({name})")

    def size(self, name: str) -> int | None:
        """Return the bytes of a type."""
        return self.values.get(f"SIZE({name})")

    def offset(self, member: str) -> int | None:
        """Return the byte offset of a member, named `type.member`."""
        return self.values.get(f"OFFSET({member})")


def parse_vmcoreinfo(data: bytes, *, where: str = "VMCOREINFO") -> VmcoreInfo:
    """Parse the descriptor of a VMCOREINFO note; `where` names it in errors.

    Zero bytes after the text are padding. A key that occurs twice must have the same value each time.
    Raises CoreFileError, with the line, for a malformed line, and for a text without OSRELEASE or PAGESIZE.
    Kernel: vmcoreinfo_append_str() and crash_save_vmcoreinfo_init() in kernel/vmcore_info.c, v6.12.
    """
    lines = data.rstrip(b"\0").split(b"\n")
    if lines[-1]:
        # the kernel truncates a text that is longer than a page, so the last value may lack digits
        raise _bad(f"the last line does not end: {_start(lines[-1])}", where, len(lines))
    raw: dict[str, str] = {}
    values: dict[str, int] = {}
    for number, line in enumerate(lines[:-1], start=1):
        key, text, value = _parse_line(line, where, number)
        if raw.setdefault(key, text) != text:
            raise _bad(f"{key} is {raw[key]!r} in one line and {text!r} in another", where, number)
        if value is not None:
            values[key] = value
    for required in ("OSRELEASE", "PAGESIZE"):
        if required not in raw:
            raise CoreFileError(f"the text has no {required}", where=where, rule=_RULE, hint=_HINT)
    return VmcoreInfo(
        osrelease=raw["OSRELEASE"],
        page_size=values["PAGESIZE"],
        raw=MappingProxyType(raw),
        values=MappingProxyType(values),
    )


def _parse_line(line: bytes, where: str, number: int) -> tuple[str, str, int | None]:
    """Return key, value as written, and its integer if lines of this key have one."""
    text = line.decode("ascii", errors="backslashreplace")
    match = _LINE.fullmatch(text)
    if match is None or not text.isprintable() or not line.isascii():
        raise _bad(f"this line is not KEY=VALUE: {_start(line)}", where, number)
    key, kind, name, value = match.group("key", "kind", "name", "value")
    try:
        return key, value, _integer(f"{kind}()" if name else key, value)
    except ValueError as error:
        raise _bad(f"{key} has a value that is {error}: {value[:40]!r}", where, number) from error


def _integer(kind: str, value: str) -> int | None:
    """Return the integer in a line of this kind, None for lines without one; raise ValueError for a wrong value."""
    if kind not in _FORMS:
        return None
    pattern, base, error = _FORMS[kind]
    if not pattern.fullmatch(value):
        raise ValueError(error)
    integer = int(value, 16 if value.startswith("0x") else base)
    if kind == "PAGESIZE" and integer.bit_count() != 1:
        raise ValueError("not a power of two")
    return integer


def _start(line: bytes) -> str:
    """Return the start of a line, quoted for an error."""
    return repr(line[:60])[1:]


def _bad(what: str, where: str, number: int) -> CoreFileError:
    """Return the error for one line."""
    return CoreFileError(what, where=f"{where}, line {number}", rule=_RULE, hint=_HINT)
