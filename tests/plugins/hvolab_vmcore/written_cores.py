# SPDX-License-Identifier: GPL-2.0-only
"""Cores that are written for tests: memory, notes and headers at will."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.elf import ByteOrder, CoreNote
from hvolab_vmcore.files.elfcore import CoreFile, open_core

EM_X86_64, ET_EXEC, ET_CORE, PT_LOAD, PT_NOTE = 62, 2, 4, 1, 4


@dataclass(frozen=True)
class Memory:
    """Memory in one PT_LOAD of a written core: `data` at PA `physical`, then zeros up to `size`."""

    physical: int
    data: bytes
    size: int
    virtual: int = 0


def page(physical: int, fill: int = 0xAB) -> Memory:
    return Memory(physical, bytes([fill]) * 4096, 4096)


def write_note(note: CoreNote, order: str) -> bytes:
    name = note.name.encode() + b"\0"
    padded = (part + bytes(-len(part) % 4) for part in (name, note.data))
    return struct.pack(order + "3I", len(name), len(note.data), note.type) + b"".join(padded)


def write_core(
    memory: list[Memory],
    notes: tuple[CoreNote, ...] = (),
    byte_order: ByteOrder = "little",
    *,
    machine: int = EM_X86_64,
    kind: int = ET_CORE,
    extended: bool = False,
) -> bytes:
    """Return an ELF64 core; `extended` writes the number of program headers to section header 0 (PN_XNUM)."""
    order = "<" if byte_order == "little" else ">"
    note_bytes = b"".join(write_note(note, order) for note in notes)
    count = len(memory) + 1
    section = struct.pack(order + "2I4Q2I2Q", 0, 0, 0, 0, 0, 0, 0, count, 0, 0) if extended else b""
    offset = 64 + count * 56 + len(section)
    headers = [struct.pack(order + "2I6Q", PT_NOTE, 0, offset, 0, 0, len(note_bytes), len(note_bytes), 4)]
    offset += len(note_bytes)
    for each in memory:
        fields = (offset, each.virtual, each.physical, len(each.data), each.size, 4096)
        headers.append(struct.pack(order + "2I6Q", PT_LOAD, 6, *fields))
        offset += len(each.data)
    identity = b"\x7fELF" + bytes((2, 1 if byte_order == "little" else 2, 1)) + bytes(9)
    section_fields = (64, 1) if extended else (0, 0)
    number = 0xFFFF if extended else count
    section_offset = 64 + count * 56 if extended else 0
    header = struct.pack(
        order + "2HI3QI6H", kind, machine, 1, 0, 64, section_offset, 0, 64, 56, number, *section_fields, 0
    )
    return b"".join([identity, header, *headers, section, note_bytes, *(each.data for each in memory)])


def opened(directory: Path, content: bytes, name: str = "a.core") -> CoreFile:
    path = directory / name
    path.write_bytes(content)
    return open_core(path)


def refusal(directory: Path, content: bytes) -> CoreFileError:
    """Return the error for `content`, which must name the file and have a hint."""
    with pytest.raises(CoreFileError) as caught:
        opened(directory, content)
    assert "a.core" in caught.value.where
    assert caught.value.hint
    return caught.value


def patched(content: bytes, offset: int, replacement: bytes) -> bytes:
    return content[:offset] + replacement + content[offset + len(replacement) :]


#: A core that is in order: two segments and a note.
GOOD = write_core([page(0x1000), page(0x5000)], (CoreNote("CORE", 1, b"1234"),))
