# SPDX-License-Identifier: GPL-2.0-only
"""Relocatable ELF objects: sections with their contents, symbols and relocations.

Source: System V ABI, chapter 4; ELF-64 Object File Format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from elftools.elf.enums import ENUM_E_MACHINE
from numpy.typing import NDArray

from hvolab_vmlinux.binary import damaged, fields, piece
from hvolab_vmlinux.containers.files import map_file
from hvolab_vmlinux.errors import KernelImageError, ObjectFileError

_MACHINES: Final = {number: name for name, number in ENUM_E_MACHINE.items() if isinstance(number, int)}
_RELOCATABLE: Final = 1
_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS = 2, 4, 8
_SHF_WRITE, _SHF_ALLOC, _SHF_EXECINSTR = 1, 2, 4
_STT_OBJECT, _STT_FUNC, _STT_SECTION = 1, 2, 3
_STB_LOCAL, _STB_WEAK = 0, 2
#: Section numbers with a meaning of their own.
UNDEFINED: Final = 0
ABSOLUTE: Final = 0xFFF1
_SECTION: Final = np.dtype(
    [
        *(("name", "<u4"), ("kind", "<u4"), ("flags", "<u8"), ("va", "<u8"), ("offset", "<u8"), ("size", "<u8")),
        *(("link", "<u4"), ("info", "<u4"), ("align", "<u8"), ("entry", "<u8")),
    ]
)
_SYMBOL: Final = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_RELOCATION: Final = np.dtype([("offset", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])


@dataclass(frozen=True)
class ObjectSection:
    """A section; `content` is empty where it has no bytes in the file."""

    index: int
    name: str
    size: int
    align: int
    allocated: bool
    writable: bool
    executable: bool
    zeroed: bool
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class ObjectSymbol:
    """A symbol: its section's number (`UNDEFINED`, `ABSOLUTE`) and its offset there.

    names_section  True for the symbol of a section itself
    """

    name: str
    section: int
    value: int
    size: int
    local: bool
    weak: bool
    function: bool
    data: bool
    names_section: bool


class ObjectRelocation(NamedTuple):
    """A relocation: offset in its section, type, number of the symbol, and addend."""

    offset: int
    kind: int
    symbol: int
    addend: int


class RelocatableObject:
    """A relocatable object.

    path      where it was read from
    content   its bytes
    machine   ELF machine
    sections  all sections, by number
    symbols   all symbols, by number
    """

    def __init__(self, path: Path, content: bytes) -> None:
        """Read the headers; raises KernelImageError for damaged ones, ObjectFileError for another kind of file."""
        self.path, self.content = path, content
        self.machine, start, count, names = _header(path, content)
        raw = _array(content, start, count, _SECTION, "section headers")
        if names >= count:
            raise damaged(f"the section names are in number {names} of {count}", str(path), "ELF-64")
        texts = piece(content, int(raw[names]["offset"]), int(raw[names]["size"]), "the section names")
        self._raw = raw
        self.sections = tuple(_section(index, one, content, texts) for index, one in enumerate(raw))
        self.symbols = self._symbols()

    def _symbols(self) -> tuple[ObjectSymbol, ...]:
        tables = np.flatnonzero(self._raw["kind"] == _SHT_SYMTAB)
        if not tables.size:
            raise damaged("it has no symbol table", str(self.path), "the linker needs the symbols of an object")
        table = self._raw[tables[0]]
        if table["link"] >= len(self.sections):
            raise damaged(f"the names of symbols are in section {table['link']}", str(self.path), "ELF-64")
        texts = self.sections[table["link"]].content
        raw = _array(self.content, int(table["offset"]), int(table["size"]) // _SYMBOL.itemsize, _SYMBOL, "symbols")
        return tuple(
            ObjectSymbol(
                _text(texts, name),
                section,
                value,
                size,
                local=info >> 4 == _STB_LOCAL,
                weak=info >> 4 == _STB_WEAK,
                function=info & 15 == _STT_FUNC,
                data=info & 15 == _STT_OBJECT,
                names_section=info & 15 == _STT_SECTION,
            )
            for name, info, _, section, value, size in raw.tolist()
        )

    def section(self, name: str) -> ObjectSection | None:
        """Return the first section of that name, or None."""
        return next((one for one in self.sections if one.name == name), None)

    def relocations(self, section: ObjectSection) -> list[ObjectRelocation]:
        """Return the relocations of a section, in the order of the file."""
        found: list[ObjectRelocation] = []
        wanted = (self._raw["kind"] == _SHT_RELA) & (self._raw["info"] == section.index)
        for one in self._raw[wanted]:
            count = int(one["size"]) // _RELOCATION.itemsize
            raw = _array(self.content, int(one["offset"]), count, _RELOCATION, "relocations")
            if raw.size and int(raw["symbol"].max()) >= len(self.symbols):
                raise damaged(f"a relocation of {section.name} has no symbol", str(self.path), "ELF-64")
            found += [ObjectRelocation(*row) for row in raw.tolist()]
        return found


def read_object(path: Path) -> RelocatableObject:
    """Read an object; raises ObjectFileError for a file that is none, KernelImageError for a damaged one."""
    return RelocatableObject(path, map_file(path, KernelImageError)[:])


def _header(path: Path, content: bytes) -> tuple[str, int, int, int]:
    """Return the machine, and offset, number and names' index of the section headers."""
    hint = "compile mm/hugetlb_vmemmap.c to an object (.o): hvolab build IMAGE FILE.c"
    if content[:6] != b"\x7fELF\x02\x01":
        found = f"it begins with {content[:6].hex(' ')}" if content else "it is empty"
        raise ObjectFileError(f"the object is not a 64-bit little-endian ELF file: {found}", where=str(path), hint=hint)
    kind, number, start, count, names = fields("<HH20xQ12xHH", content, 16, "the ELF header")
    if kind != _RELOCATABLE:
        raise ObjectFileError(
            f"this ELF file is of type {kind}, not a relocatable object", where=f"{path}, byte 16 (e_type)", hint=hint
        )
    return _MACHINES.get(number, f"EM_{number}"), start, count, names


def _array(content: bytes, start: int, count: int, layout: np.dtype[np.void], name: str) -> NDArray[np.void]:
    return np.frombuffer(piece(content, start, count * layout.itemsize, f"the array of {name}"), layout)


def _section(index: int, raw: np.void, content: bytes, texts: bytes) -> ObjectSection:
    flags, size = int(raw["flags"]), int(raw["size"])
    name, zeroed = _text(texts, int(raw["name"])), int(raw["kind"]) == _SHT_NOBITS
    return ObjectSection(
        index,
        name,
        size,
        max(1, int(raw["align"])),
        allocated=bool(flags & _SHF_ALLOC),
        writable=bool(flags & _SHF_WRITE),
        executable=bool(flags & _SHF_EXECINSTR),
        zeroed=zeroed,
        content=b"" if zeroed or not index else piece(content, int(raw["offset"]), size, f"section {name}"),
    )


def _text(texts: bytes, at: int) -> str:
    return texts[at:].partition(b"\0")[0].decode("latin-1") if at < len(texts) else ""
