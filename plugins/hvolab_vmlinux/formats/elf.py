# SPDX-License-Identifier: GPL-2.0-only
"""ELF kernels: segments, sections by name, and the symbol table.

They are read without pyelftools, which takes 14 s for the symbol table of a kernel; an array takes 0.05 s.
Source: System V ABI, chapter 4; ELF-64 Object File Format.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from elftools.elf.enums import ENUM_E_MACHINE
from numpy.typing import NDArray

from hvolab_vmlinux.binary import damaged, fields, joined, piece
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.image import Segment, read_only
from hvolab_vmlinux.symbols.table import SymbolTable

_MACHINES: Final = {number: name for name, number in ENUM_E_MACHINE.items() if isinstance(number, int)}
#: Machines whose kernels are read.
KNOWN_MACHINES: Final = ("EM_X86_64", "EM_AARCH64", "EM_RISCV")
#: Bytes of the file's header.
ELF_HEADER_BYTES: Final = 64
_LARGEST_MEMORY: Final = 1 << 32

_SYMBOL: Final = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_PT_LOAD, _SHT_SYMTAB, _SHT_NOBITS = 1, 2, 8
_STT_SECTION, _STT_FILE = 3, 4
_SHN_UNDEF = 0
_SHF_ALLOC, _SHF_WRITE, _SHF_EXECINSTR = 2, 1, 4


@dataclass(frozen=True)
class Section:
    """A section header, with ELF's fields."""

    name: str
    kind: int
    flags: int
    va: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True)
class ElfKernel:
    """Headers of an ELF kernel; `offsets` has the place of each segment in the file."""

    machine: str
    entry: int
    segments: tuple[Segment, ...]
    offsets: tuple[int, ...]
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section | None:
        """Return the first section of that name, or None."""
        return next((one for one in self.sections if one.name == name), None)

    def va_of(self, offset: int) -> int | None:
        """Return the link VA of a byte of the file; None where it is in no segment."""
        for segment, start in zip(self.segments, self.offsets, strict=True):
            if start <= offset < start + len(segment.content):
                return segment.va + offset - start
        return None


def read_elf(content: bytes, where: str) -> ElfKernel:
    """Return the headers of an ELF kernel.

    Raises KernelImageError for another class, machine or byte order, and for headers beyond the end of the file.
    """
    machine, (entry, programs, sections, _, _, size, count, *shape) = _file_header(content, where)
    if size != 56 or not count:
        raise damaged(f"{count} program headers of {size} bytes", f"{where}, bytes 54 and 56", "ELF-64")
    segments, offsets = _segments(content, programs, count, where)
    return ElfKernel(machine, entry, segments, offsets, _sections(content, sections, shape, where))


def elf_machine(content: bytes, where: str) -> str:
    """Return the machine of an ELF kernel, whose other headers are not read; raises KernelImageError as read_elf()."""
    return _file_header(content, where)[0]


def _file_header(content: bytes, where: str) -> tuple[str, tuple[int, ...]]:
    """Return the machine, and the fields from e_entry on."""
    identity = piece(content, 0, 16, "the ELF identification")
    if identity[4] != 2 or identity[5] != 1:
        raise KernelImageError(
            "this ELF file is not 64-bit little-endian",
            where=f"{where}, bytes 4 and 5 (EI_CLASS, EI_DATA)",
            rule="hvolab reads 64-bit little-endian kernels",
            hint="name a kernel of x86_64, arm64 or riscv64",
        )
    kind, number, _, *rest = fields("<HHIQQQIHHHHHH", content, 16, "the ELF header")
    machine = _MACHINES.get(number, f"EM_{number}")
    if machine not in KNOWN_MACHINES or kind not in {2, 3}:
        raise KernelImageError(
            f"this is an ELF file of machine {machine} and type {kind}, not a kernel that hvolab reads",
            where=f"{where}, bytes 16 and 18 (e_type, e_machine)",
            rule=f"executables of {', '.join(KNOWN_MACHINES)}",
            hint="name a vmlinux, not a module (.ko); `hvolab inspect` opens memory cores",
        )
    return machine, tuple(rest)


def _segments(content: bytes, start: int, count: int, where: str) -> tuple[tuple[Segment, ...], tuple[int, ...]]:
    segments, offsets = [], []
    for index in range(count):
        kind, _, offset, va, _, file_size, memory_size, _ = fields(
            "<IIQQQQQQ", content, start + 56 * index, f"program header {index}"
        )
        if kind != _PT_LOAD or memory_size == 0:
            continue
        if file_size > memory_size or memory_size > _LARGEST_MEMORY or va + memory_size > 1 << 64:
            raise damaged(
                f"segment {index} at VA {va:#x} has {file_size:#x} bytes in the file and {memory_size:#x} in memory",
                f"{where}, program header {index}",
                "ELF-64: p_filesz is not above p_memsz",
            )
        data = read_only(np.frombuffer(content, np.uint8)[offset : offset + file_size])
        if len(data) < file_size:
            raise damaged(f"segment {index} ends beyond the file's {len(content)} bytes", where)
        segments.append(Segment(va, data, memory_size))
        offsets.append(offset)
    if all(one.per_cpu for one in segments):
        raise damaged("no segment is loaded at a kernel VA", where, "a kernel has PT_LOAD segments")
    for one, following in pairwise(sorted(segments, key=lambda one: one.va)):
        if one.end > following.va:
            raise damaged(f"segments at VA {one.va:#x} and {following.va:#x} overlap", where, "ELF-64")
    return tuple(segments), tuple(offsets)


def _sections(content: bytes, start: int, shape: list[int], where: str) -> tuple[Section, ...]:
    """Return all sections; none where the kernel was stripped of them."""
    size, count, names_index = shape
    if not start or not count:
        return ()
    if size != 64 or names_index >= count:
        raise damaged(f"{count} section headers of {size} bytes, names in number {names_index}", where, "ELF-64")
    raw = [fields("<IIQQQQIIQQ", content, start + 64 * index, f"section header {index}") for index in range(count)]
    names = piece(content, raw[names_index][4], raw[names_index][5], "the section names")
    return tuple(
        Section(names[one[0] : one[0] + 64].split(b"\0")[0].decode("latin-1"), one[1], *one[2:7]) for one in raw
    )


def section_content(content: bytes, section: Section) -> bytes:
    """Return the bytes of a section; raises KernelImageError where the file does not have them."""
    if section.kind == _SHT_NOBITS:
        raise damaged(f"section {section.name} has no bytes in the file", f"VA {section.va:#x}")
    return piece(content, section.offset, section.size, f"section {section.name}")


def elf_symbols(content: bytes, kernel: ElfKernel, where: str) -> SymbolTable | None:
    """Return the ELF symbol table; None where the kernel was stripped of it."""
    table = next((one for one in kernel.sections if one.kind == _SHT_SYMTAB), None)
    if table is None:
        return None
    if table.link >= len(kernel.sections) or table.size % _SYMBOL.itemsize:
        raise damaged(f"the symbol table has {table.size} bytes and names in section {table.link}", where, "ELF-64")
    raw = np.frombuffer(section_content(content, table), _SYMBOL)
    names = np.frombuffer(section_content(content, kernel.sections[table.link]), np.uint8)
    kinds = raw["info"] & 0xF
    raw = raw[(raw["name"] > 0) & (raw["section"] != _SHN_UNDEF) & (kinds != _STT_SECTION) & (kinds != _STT_FILE)]
    ends = np.flatnonzero(names == 0)
    if not len(raw) or not len(ends) or int(raw["name"].max()) > int(ends[-1]):
        raise damaged("names of symbols end beyond the string table", f"{where}, section {table.name}", "ELF-64")
    starts = raw["name"].astype(np.int64)
    lengths = ends[np.searchsorted(ends, starts)] - starts + 1  # with the NUL after it
    text = joined(names, starts, lengths).tobytes()
    return SymbolTable.of(raw["value"], _letters(raw, kernel), text)


def _letters(raw: NDArray[np.void], kernel: ElfKernel) -> NDArray[np.uint8]:
    """Return the kind of each symbol as in nm: T text, R read-only, D data, B zeroed data, A absolute, a local."""
    of_section = np.full(len(kernel.sections) + 1, ord("A"), np.uint8)  # the last one: indices beyond the sections
    for index, one in enumerate(kernel.sections):
        if one.flags & _SHF_EXECINSTR:
            of_section[index] = ord("T")
        elif one.flags & _SHF_WRITE:
            of_section[index] = ord("B" if one.kind == _SHT_NOBITS else "D")
        elif one.flags & _SHF_ALLOC:
            of_section[index] = ord("R")
    letters: NDArray[np.uint8] = of_section[np.minimum(raw["section"], len(kernel.sections))]
    letters[raw["info"] >> 4 == 0] |= 0x20
    return letters
