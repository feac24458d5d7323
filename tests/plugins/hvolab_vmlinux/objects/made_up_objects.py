# SPDX-License-Identifier: GPL-2.0-only
"""Relocatable objects built by hand, section by section."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hvolab_vmlinux.objects.elf_object import RelocatableObject

NUMBERS = {"EM_X86_64": 62, "EM_AARCH64": 183, "EM_RISCV": 243}
FUNCTION, DATA, SECTION = 2, 1, 3
LOCAL, GLOBAL, WEAK = 0, 1, 2
_ALLOC, _WRITE, _EXEC = 2, 1, 4
FLAGS = {"text": _ALLOC | _EXEC, "data": _ALLOC | _WRITE, "rodata": _ALLOC, "none": 0}


@dataclass(frozen=True)
class MadeUpSection:
    """A section: name, bytes, kind of `FLAGS`, and relocations as offset, type, number of the symbol and addend."""

    name: str
    content: bytes
    flags: str = "text"
    relocations: Sequence[tuple[int, int, int, int]] = ()
    zeroed: bool = False


@dataclass(frozen=True)
class MadeUpSymbol:
    """A symbol; section 0 is undefined, 1 the first one."""

    name: str
    section: int = 0
    value: int = 0
    kind: int = FUNCTION
    binding: int = GLOBAL


@dataclass
class MadeUpObject:
    """An object; its symbols have numbers from 1 on."""

    sections: Sequence[MadeUpSection]
    symbols: Sequence[MadeUpSymbol] = ()
    machine: str = "EM_X86_64"
    kind: int = 1
    names: bytes = field(default=b"\0", init=False)

    def content(self) -> bytes:
        """Return its bytes."""
        strings, table = b"\0", bytes(24)
        for one in self.symbols:
            info = one.binding << 4 | one.kind
            table += struct.pack("<IBBHQQ", len(strings), info, 0, one.section, one.value, 8)
            strings += one.name.encode() + b"\0"
        parts: list[tuple[str, int, int, bytes, int, int]] = [("", 0, 0, b"", 0, 0)]
        for one_section in self.sections:
            kind = 8 if one_section.zeroed else 1
            parts.append((one_section.name, kind, FLAGS[one_section.flags], one_section.content, 0, 0))
        symbols_at = len(parts)
        parts += [(".symtab", 2, 0, table, symbols_at + 1, 1), (".strtab", 3, 0, strings, 0, 0)]
        for index, one_section in enumerate(self.sections, start=1):
            rows = b"".join(struct.pack("<QIIq", *row) for row in one_section.relocations)
            if rows:
                parts.append((f".rela{one_section.name}", 4, 0, rows, symbols_at, index))
        parts.append((".shstrtab", 3, 0, b"", 0, 0))
        return self._file(parts)

    def _file(self, parts: list[tuple[str, int, int, bytes, int, int]]) -> bytes:
        names = b"".join(name.encode() + b"\0" for name, *_ in parts)
        parts[-1] = (*parts[-1][:3], names, 0, 0)
        body, headers = bytearray(64), b""
        name_at = 0
        for name, kind, flags, content, link, info in parts:
            headers += struct.pack("<IIQQQQIIQQ", name_at, kind, flags, 0, len(body), len(content), link, info, 16, 0)
            name_at += len(name) + 1
            body += b"" if kind == 8 else content
        head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", self.kind, NUMBERS[self.machine], 1, 0, 0,
                           len(body), 0, 64, 0, 0, 64, len(parts), len(parts) - 1)  # fmt: skip
        body[: len(head)] = head
        return bytes(body) + headers

    def object(self) -> RelocatableObject:
        """Return it as it is read."""
        return RelocatableObject(Path("made-up.o"), self.content())
