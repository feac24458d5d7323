# SPDX-License-Identifier: GPL-2.0-only
"""ELF headers and notes of a core: those that break a rule are refused with a reason."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.content import MappedContent
from hvolab_vmcore.files.elf import CoreNote, read_headers, read_notes
from hvolab_vmcore.torture.elf_writer import write_core, write_note
from tests.plugins.hvolab_vmcore.written_cores import ET_EXEC, GOOD, opened, page, patched, refusal


def bytes_of(content: bytes) -> MappedContent:
    return MappedContent(np.frombuffer(content, dtype=np.uint8))


def test_headers_have_machine_byte_order_and_program_headers() -> None:
    content = bytes_of(write_core([page(0x1000)], byte_order="big", machine=22))
    machine, byte_order, headers = read_headers(content, Path("a.core"))
    assert (machine.number, machine.name, byte_order) == (22, "EM_S390", "big")
    assert [header.kind for header in headers] == ["PT_NOTE", "PT_LOAD"]
    assert (headers[1].index, headers[1].physical, headers[1].size) == (1, 0x1000, 4096)


def test_a_machine_without_a_name_is_named_by_its_number() -> None:
    content = bytes_of(write_core([page(0)], machine=65000))
    assert read_headers(content, Path("a.core"))[0].name == "EM_65000"


def test_names_of_notes_are_ascii_with_escapes() -> None:
    note = write_note(CoreNote("CORE", 1, b"data"), "<").replace(b"CORE", b"CO\xffE")
    assert read_notes(note + bytes(12), 0, "little") == ([CoreNote("CO\\xffE", 1, b"data")], [])


@pytest.mark.parametrize(
    ("content", "count", "complaint"),
    [
        (patched(GOOD, 64 + 3 * 56, b"\xff"), 0, "a note at byte 0xe8 of the uncompressed file has 255 bytes of name"),
        (patched(GOOD, 64 + 32, b"\x07"), 0, "a note's header at byte 0xe8 of the uncompressed file has 7 bytes"),
        (patched(GOOD, 64 + 32, bytes([24 + 5])), 1, "a note's header at byte 0x100 of the uncompressed file has 5"),
    ],
)
def test_a_damaged_note_is_left_out_with_a_warning(tmp_path: Path, content: bytes, count: int, complaint: str) -> None:
    core = opened(tmp_path, content)
    assert len(core.notes) == count
    assert [text.startswith(complaint) for text in core.warnings] == [True], core.warnings
    assert [one.physical for one in core.segments] == [0x1000, 0x5000]


def test_zero_bytes_after_the_notes_are_padding(tmp_path: Path) -> None:
    content = write_core([page(0)], (CoreNote("CORE", 1, b"data"),))
    padded = patched(content, 64 + 32, struct.pack("<Q", 24 + 14))  # the PT_NOTE's size takes in 14 bytes of the page
    core = opened(tmp_path, padded.replace(b"\xab", b"\0"))
    assert [note.name for note in core.notes] == ["CORE"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\x7fELF", "the file ends inside the ELF header"),
        (b"garbage" * 100, "this is not an ELF file: it begins with 67 61 72 62"),
        (patched(GOOD, 4, b"\1"), "this is a 32-bit ELF file"),
        (patched(GOOD, 4, b"\7"), "of unknown ELF class 7"),
        (patched(GOOD, 5, b"\3"), "byte order 3 or ELF version 1 is unknown"),
        (write_core([page(0)], kind=ET_EXEC), "this ELF file is ET_EXEC, not a core"),
        (write_core([page(0)], kind=77), "this ELF file is of type 77, not a core"),
        (patched(GOOD, 54, b"\x20"), "program headers have 32 bytes each"),
        (patched(GOOD, 56, b"\0\0"), "0 program headers"),
        (patched(GOOD, 56, b"\xfe\xff"), "65534 program headers"),
        (patched(GOOD, 32, b"\xff" * 8), "do not fit the file"),
        (patched(GOOD, 32, bytes(8)), "do not fit the file"),
        (GOOD[:150], "3 program headers"),
        (patched(GOOD, 56, b"\xff\xff"), "^0 program headers"),
        (patched(patched(GOOD, 56, b"\xff\xff"), 40, b"\xff" * 8), r"section header 0 \(PN_XNUM\) is not within"),
    ],
)
def test_headers_and_notes_that_break_a_rule_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(CoreFileError, match=complaint):
        opened(tmp_path, content)
    assert refusal(tmp_path, content).what
