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
_HINT = "give the text by --vmcoreinfo FILE, or its values by options"
#: Warnings about single lines.
_MOST_WARNINGS = 4

_HEX = (re.compile(r"(0x)?[0-9a-fA-F]{1,16}"), 16, "not hexadecimal")
_UNSIGNED = (re.compile(r"[0-9]{1,20}"), 10, "not an unsigned decimal number")
_SIGNED = re.compile(r"-?[0-9]{1,20}|0x[0-9a-fA-F]{1,16}")
#: Keys and kinds of keys that have an integer: pattern, base without 0x, and the error.
_FORMS = {
    **dict.fromkeys(("KERNELOFFSET", "SYMBOL()"), _HEX),
    **dict.fromkeys(("PAGESIZE", "SIZE()", "OFFSET()", "LENGTH()"), _UNSIGNED),
    "NUMBER()": (_SIGNED, 10, "not a decimal number, nor a hexadecimal one with 0x"),
}
_LINE = re.compile(r"(?P<key>(?P<kind>[A-Za-z0-9_.-]+)(?:\((?P<name>[^()=]+)\))?) *= *(?P<value>.*)")


@dataclass(frozen=True)
class VmcoreInfo:
    """Parsed VMCOREINFO. The accessors by name return None for a key that the note does not have.

    osrelease  the kernel's release, as `uname -r` prints it; empty without OSRELEASE
    page_size  bytes of its base page
    raw        all lines, key to value, as written
    values     the lines that have an integer by their key, key to integer
    warnings   lines that are odd, in sentences
    """

    osrelease: str
    page_size: int
    raw: Mapping[str, str]
    values: Mapping[str, int]
    warnings: tuple[str, ...] = ()

    def symbol(self, name: str) -> int | None:
        """Return the VA of a kernel symbol; for `vmemmap`, the VA of the struct page of PFN 0."""
        return self.values.get(f"SYMBOL({name})")

    def number(self, name: str) -> int | None:
        """Return a number: signed if the kernel writes it in decimal, unsigned if in hex."""
        return self.values.get(f"NUMBER({name})")

    @property
    def physical_bits(self) -> int | None:
        """Bits of a PA; None for a number that no machine can have. Kernel: MAX_PHYSMEM_BITS."""
        bits = self.number("MAX_PHYSMEM_BITS")
        return bits if bits is not None and 0 < bits <= 64 else None

    def size(self, name: str) -> int | None:
        """Return the bytes of a type."""
        return self.values.get(f"SIZE({name})")

    def offset(self, member: str) -> int | None:
        """Return the byte offset of a member, named `type.member`."""
        return self.values.get(f"OFFSET({member})")


def parse_vmcoreinfo(data: bytes, *, where: str = "VMCOREINFO") -> VmcoreInfo:
    """Parse the descriptor of a VMCOREINFO note; `where` names it in errors.

    Zero bytes after the text are padding, and so are blanks around a line, its key and its value. A line that is
    malformed, or not ended, is left out with a warning; of a key that occurs twice with different values the first one
    counts.
    Raises CoreFileError for a text without a PAGESIZE, by which nothing can be read.
    Kernel: vmcoreinfo_append_str() and crash_save_vmcoreinfo_init() in kernel/vmcore_info.c, v6.12.
    """
    lines = data.rstrip(b"\0").split(b"\n")
    raw: dict[str, str] = {}
    values: dict[str, int] = {}
    warnings = [f"line {len(lines)} does not end, left out: {_start(lines[-1])}"] if lines[-1] else []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            key, text, value = _parse_line(line.strip())
            if raw.setdefault(key, text) != text:
                raise ValueError(f"has {key} again, with {text[:40]!r}")  # noqa: TRY301
        except ValueError as error:
            warnings.append(f"line {number} {error}, left out")
            continue
        if value is not None:
            values[key] = value
    if "PAGESIZE" not in values:
        raise CoreFileError("the text has no PAGESIZE", where=where, rule=_RULE, hint=_HINT)
    if "OSRELEASE" not in raw:
        warnings.append("there is no OSRELEASE")
    return VmcoreInfo(
        osrelease=raw.get("OSRELEASE", ""),
        page_size=values["PAGESIZE"],
        raw=MappingProxyType(raw),
        values=MappingProxyType(values),
        warnings=tuple(f"VMCOREINFO: {text}" for text in _few(warnings)),
    )


def _few(warnings: list[str]) -> list[str]:
    """Return the first warnings, and the number of the others."""
    more = len(warnings) - _MOST_WARNINGS
    return [*warnings[:_MOST_WARNINGS], f"{more} more lines are odd"] if more > 0 else warnings


def _parse_line(line: bytes) -> tuple[str, str, int | None]:
    """Return key, value as written, and its integer if lines of this key have one; raises ValueError."""
    text = line.decode("ascii", errors="backslashreplace")
    match = _LINE.fullmatch(text)
    if match is None or not text.isprintable() or not line.isascii():
        raise ValueError(f"is not KEY=VALUE: {_start(line)}")
    key, kind, name, value = match.group("key", "kind", "name", "value")
    try:
        return key, value, _integer(f"{kind}()" if name else key, value)
    except ValueError as error:
        raise ValueError(f"has a {key} that is {error}: {value[:40]!r}") from error


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
