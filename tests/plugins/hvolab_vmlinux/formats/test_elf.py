# SPDX-License-Identifier: GPL-2.0-only
"""ELF kernels: headers, sections, symbols with their kinds, and files that are refused."""

from __future__ import annotations

import struct

import pytest

from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.formats.elf import elf_symbols, read_elf, section_content
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, addresses, elf_image

MADE = MadeUp()
WHOLE = elf_image(MADE, symbol_table=True, btf_section=True, per_cpu=bytes(64))


def patched(at: int, data: bytes) -> bytes:
    return WHOLE[:at] + data + WHOLE[at + len(data) :]


def test_segments_and_sections_are_those_of_the_headers() -> None:
    kernel = read_elf(WHOLE, "here")
    assert kernel.machine == "EM_X86_64"
    assert [one.va for one in kernel.segments] == [MADE.base, 0]
    assert [one.name for one in kernel.sections] == ["", ".symtab", ".strtab", ".BTF", ".shstrtab"]
    section = kernel.section(".BTF")
    assert section is not None
    assert section_content(WHOLE, section) == MADE.btf
    assert kernel.section(".text") is None


def test_a_byte_of_the_file_has_its_link_va() -> None:
    kernel = read_elf(WHOLE, "here")
    assert kernel.va_of(kernel.offsets[0] + 5) == MADE.base + 5
    assert kernel.va_of(0) is None


def test_symbols_have_the_kind_that_nm_shows() -> None:
    kernel = read_elf(WHOLE, "here")
    table = elf_symbols(WHOLE, kernel, "here")
    assert table is not None
    assert {name: table.address(name) for name in addresses(MADE)} == addresses(MADE)
    assert set(table.letters.tobytes()) == {ord("A")}  # the first section header has no flags
    code = bytearray(WHOLE)
    at = struct.unpack_from("<Q", WHOLE, 40)[0] + 64 + 8  # flags of .symtab, to which the symbols belong
    struct.pack_into("<Q", code, at, 4)
    table = elf_symbols(bytes(code), read_elf(bytes(code), "here"), "here")
    assert table is not None
    assert set(table.letters.tobytes()) == {ord("T")}
    stripped = elf_image(MADE)
    assert elf_symbols(stripped, read_elf(stripped, "here"), "here") is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (WHOLE[:10], "the ELF identification is not within the 10 bytes"),
        (patched(4, b"\1"), "not 64-bit little-endian"),
        (patched(18, b"\x16"), "machine EM_S390 and type 2"),
        (patched(16, b"\1"), "machine EM_X86_64 and type 1"),
        (patched(54, b"\x20"), "program headers of 32 bytes"),
        (patched(56, b"\xff\xff"), "segment [0-9]+ at VA"),
        (patched(64 + 32, b"\xff" * 8), "bytes in the file and"),
        (patched(64 + 8, b"\xff" * 7), "ends beyond the file's"),
        (patched(64 + 16, bytes(8)), "no segment is loaded at a kernel VA"),
        (patched(64 + 56 + 16, (MADE.base + 16).to_bytes(8, "little")), "overlap"),
        (patched(58, b"\x20"), "section headers of 32 bytes"),
    ],
)
def test_headers_that_are_wrong_are_refused(content: bytes, what: str) -> None:
    with pytest.raises(KernelImageError, match=what):
        read_elf(content, "here")
