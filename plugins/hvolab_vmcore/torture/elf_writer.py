# SPDX-License-Identifier: GPL-2.0-only
"""Writer of ELF64 memory cores, as kdump and QEMU write them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hvolab_vmcore.files.elf import PN_XNUM, ByteOrder, CoreNote

_EM_X86_64, _ET_CORE, _PT_LOAD, _PT_NOTE = 62, 4, 1, 4
_HEADER, _PROGRAM_HEADER, _SECTION = 64, 56, 64


@dataclass(frozen=True)
class Memory:
    """Memory in one PT_LOAD: `data` at PA `physical`, then bytes that are not in the file up to `size`."""

    physical: int
    data: bytes
    size: int
    virtual: int = 0


def write_note(note: CoreNote, order: str) -> bytes:
    """Return a note; ``order`` is that of struct, '<' or '>'."""
    name = note.name.encode() + b"\0"
    padded = (part + bytes(-len(part) % 4) for part in (name, note.data))
    return struct.pack(order + "3I", len(name), len(note.data), note.type) + b"".join(padded)


def write_core(
    memory: Sequence[Memory],
    notes: tuple[CoreNote, ...] = (),
    byte_order: ByteOrder = "little",
    *,
    machine: int = _EM_X86_64,
    kind: int = _ET_CORE,
    extended: bool = False,
) -> bytes:
    """Return an ELF64 core.

    machine, kind  e_machine and e_type
    extended       write the number of program headers to section header 0 (PN_XNUM)
    """
    order = "<" if byte_order == "little" else ">"
    note_bytes = b"".join(write_note(note, order) for note in notes)
    count = len(memory) + 1
    section = struct.pack(order + "2I4Q2I2Q", 0, 0, 0, 0, 0, 0, 0, count, 0, 0) if extended else b""
    offset = _HEADER + count * _PROGRAM_HEADER + len(section)
    headers = [struct.pack(order + "2I6Q", _PT_NOTE, 0, offset, 0, 0, len(note_bytes), len(note_bytes), 4)]
    offset += len(note_bytes)
    for each in memory:
        fields = (offset, each.virtual, each.physical, len(each.data), each.size, 4096)
        headers.append(struct.pack(order + "2I6Q", _PT_LOAD, 6, *fields))
        offset += len(each.data)
    identity = b"\x7fELF" + bytes((2, 1 if byte_order == "little" else 2, 1)) + bytes(9)
    section_fields = (_SECTION, 1) if extended else (0, 0)
    number = PN_XNUM if extended else count
    section_offset = _HEADER + count * _PROGRAM_HEADER if extended else 0
    header = struct.pack(
        *(order + "2HI3QI6H", kind, machine, 1, 0, _HEADER, section_offset, 0),
        *(_HEADER, _PROGRAM_HEADER, number, *section_fields, 0),
    )
    return b"".join([identity, header, *headers, section, note_bytes, *(each.data for each in memory)])
