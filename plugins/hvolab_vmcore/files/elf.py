# SPDX-License-Identifier: GPL-2.0-only
"""ELF header, program headers and notes of a memory core.

kdump writes a CORE/NT_PRSTATUS note for each CPU, and VMCOREINFO. QEMU writes CORE/NT_PRSTATUS and QEMU (its CPU state,
control registers included) for each CPU, and VMCOREINFO where the guest has a device for it.
Source: System V ABI, chapters 4 and 5; ELF-64 Object File Format.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from elftools.elf.enums import ENUM_E_MACHINE, ENUM_E_TYPE

from hvolab.arithmetic import round_up
from hvolab.errors import CoreFileError
from hvolab_vmcore.files.content import Content

ByteOrder = Literal["little", "big"]

#: First bytes of an ELF file.
ELF_MAGIC = b"\x7fELF"
#: e_phnum of a file whose number of program headers is in sh_info of section header 0. System V ABI, "ELF header".
PN_XNUM = 0xFFFF

#: e_type, e_machine, e_phoff, e_shoff, e_phentsize and e_phnum of the ELF header.
_HEADER, _HEADER_SIZE = "16x2H12x2Q6x2H", 64
#: p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
_PROGRAM_HEADER = "2I6Q"
_PROGRAM_HEADER_SIZE = struct.calcsize(f"<{_PROGRAM_HEADER}")
#: sh_info of a section header.
_SECTION_INFO, _SECTION_SIZE = "44xI", 64
#: n_namesz, n_descsz, n_type: three 32-bit words, also in ELF64 as Linux and QEMU write it.
_NOTE, _NOTE_SIZE, _NOTE_ALIGNMENT = "3I", 12, 4
_BYTE_ORDERS: dict[int, ByteOrder] = {1: "little", 2: "big"}  # EI_DATA
_KINDS = {1: "PT_LOAD", 4: "PT_NOTE"}
_DUMP_AGAIN = "dump the memory again, or copy the file again if it was copied"


@dataclass(frozen=True)
class ElfMachine:
    """e_machine of a core: its number, and its name such as 'EM_X86_64' ('EM_<number>' if pyelftools has no name)."""

    number: int
    name: str


@dataclass(frozen=True)
class ProgramHeader:
    """Program header with ELF's fields; `kind` is 'PT_LOAD', 'PT_NOTE', or the number of another p_type."""

    index: int
    kind: str | int
    offset: int
    virtual: int
    physical: int
    file_size: int
    size: int


@dataclass(frozen=True)
class CoreNote:
    """Note of a core: its owner (bytes other than ASCII as escapes), its n_type, and its descriptor."""

    name: str
    type: int
    data: bytes = field(repr=False)


def damaged(what: str, path: Path, place: str, rule: str, hint: str = _DUMP_AGAIN) -> CoreFileError:
    """Return the error for a core that breaks a rule of its format at a place in the file."""
    return CoreFileError(what, where=f"{path}, {place}", rule=rule, hint=hint)


def read_headers(content: Content, path: Path) -> tuple[ElfMachine, ByteOrder, tuple[ProgramHeader, ...]]:
    """Parse and check the ELF header and all program headers of `content`, the uncompressed bytes of `path`.

    Raises CoreFileError for a file other than ELF64 ET_CORE, and for headers that are not within the file.
    """
    start = content.read(0, _HEADER_SIZE)
    byte_order = _check_identity(start, path)
    sign = "<" if byte_order == "little" else ">"
    kind, machine, offset, sections, entry_size, count = struct.unpack_from(sign + _HEADER, start)
    if kind != ENUM_E_TYPE["ET_CORE"]:
        raise damaged(
            f"this ELF file is {_name(ENUM_E_TYPE, kind, 'of type ')}, not a core (ET_CORE)",
            path,
            "byte 16 (e_type)",
            "System V ABI, ELF header: e_type",
            "name a memory core; a kernel image (vmlinux) is not one",
        )
    if entry_size != _PROGRAM_HEADER_SIZE:
        what = f"program headers have {entry_size} bytes each, not {_PROGRAM_HEADER_SIZE}"
        raise damaged(what, path, "byte 54 (e_phentsize)", "ELF-64 Object File Format, figure 6")
    if count == PN_XNUM:
        section = content.read(sections, _SECTION_SIZE)
        if len(section) < _SECTION_SIZE:
            what = f"section header 0 (PN_XNUM) is not within the file's {content.size} bytes"
            raise damaged(what, path, f"byte {sections:#x}", "System V ABI, chapter 4")
        (count,) = struct.unpack_from(sign + _SECTION_INFO, section)
    end = offset + count * _PROGRAM_HEADER_SIZE
    if not count or offset < _HEADER_SIZE or end > content.size:
        raise damaged(
            f"{count} program headers at bytes {offset:#x} to {end:#x} do not fit the file's {content.size:#x}",
            path,
            "bytes 32 and 56 (e_phoff, e_phnum)",
            "a core has program headers, after its ELF header and within the file",
        )
    rows = struct.iter_unpack(sign + _PROGRAM_HEADER, content.read(offset, end - offset))
    headers = tuple(
        ProgramHeader(index, _KINDS.get(kind, kind), offset, virtual, physical, file_size, size)
        for index, (kind, _, offset, virtual, physical, file_size, size, _) in enumerate(rows)
    )
    return ElfMachine(machine, _name(ENUM_E_MACHINE, machine, "EM_")), byte_order, headers


def _check_identity(start: bytes, path: Path) -> ByteOrder:
    """Check e_ident, the first 16 bytes, and return the byte order that it declares."""
    if len(start) < _HEADER_SIZE:
        what = f"the file ends inside the ELF header, after {len(start)} bytes"
        raise damaged(what, path, "byte 0", f"System V ABI: an ELF header has {_HEADER_SIZE} bytes")
    if start[4] != 2:
        what = (
            f"this is {'a 32-bit ELF file' if start[4] == 1 else f'of unknown ELF class {start[4]}'}, not a 64-bit one"
        )
        rule = "hvolab reads ELFCLASS64: kernels with HVO are 64-bit"
        raise damaged(what, path, "byte 4 (EI_CLASS)", rule, "dump the memory as an ELF64 core")
    if start[5] not in _BYTE_ORDERS or start[6] != 1:
        what = f"byte order {start[5]} or ELF version {start[6]} is unknown"
        rule = "System V ABI, ELF identification: 1 (little) or 2 (big); version 1"
        raise damaged(what, path, "bytes 5 and 6 (EI_DATA, EI_VERSION)", rule)
    return _BYTE_ORDERS[start[5]]


def read_notes(segment: bytes, offset: int, byte_order: ByteOrder) -> tuple[list[CoreNote], list[str]]:
    """Return the notes of one PT_NOTE segment, whose bytes begin at `offset` of the uncompressed file, and warnings.

    A header of zeros, or fewer zero bytes than a header has, ends the list; so does a note that does not end within the
    segment, with a warning. Source: System V ABI, note section: name and descriptor, each padded to 4 bytes.
    Kernel: final_note() in kernel/vmcore_info.c, v6.12.
    """
    words = struct.Struct(("<" if byte_order == "little" else ">") + _NOTE)
    found, position = list[CoreNote](), 0
    while any(segment[position : position + _NOTE_SIZE]):
        header = segment[position : position + _NOTE_SIZE]
        place = f"at byte {offset + position:#x} of the uncompressed file"
        if len(header) < _NOTE_SIZE:
            return found, [f"a note's header {place} has {len(header)} bytes, not {_NOTE_SIZE}: it is left out"]
        name_size, data_size, kind = words.unpack(header)
        name_start = position + _NOTE_SIZE
        data_start = name_start + round_up(name_size, _NOTE_ALIGNMENT)
        if data_start + data_size > len(segment):
            sizes = f"{name_size} bytes of name and {data_size} of data"
            return found, [f"a note {place} has {sizes}, more than its segment: it and those after it are left out"]
        name = segment[name_start : name_start + name_size].partition(b"\0")[0]
        data = segment[data_start : data_start + data_size]
        found.append(CoreNote(name.decode("ascii", errors="backslashreplace"), kind, data))
        position = data_start + round_up(data_size, _NOTE_ALIGNMENT)
    return found, []


def _name(names: Mapping[str, int], number: int, prefix: str) -> str:
    """Return the name of a number, or `prefix` and the number if pyelftools has no name."""
    return next((name for name, value in names.items() if value == number), f"{prefix}{number}")
