"""ELF header and program headers of a memory core, parsed with pyelftools' structures and checked.

Its ELFFile class is not used: it also reads section tables, dynamic segments and typed notes, which a memory core does
not need and which can fail on a damaged file.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.structs import ELFStructs
from numpy.typing import NDArray

from hvolab.errors import CoreFileError

ByteOrder = Literal["little", "big"]

#: e_phnum of a file whose number of program headers is in sh_info of section header 0. System V ABI, "ELF header".
PN_XNUM = 0xFFFF

_EHDR_SIZE, _PHDR_SIZE, _SHDR_SIZE = 64, 56, 64  # ELF-64 Object File Format, figures 2, 3 and 6
_BYTE_ORDERS: dict[int, ByteOrder] = {1: "little", 2: "big"}  # EI_DATA
#: Hint of errors about damaged cores.
DUMP_AGAIN = "dump the memory again, or copy the file again if it was copied"

#: First bytes of memory dumps in other formats, and how to get an ELF core instead.
_OTHER_DUMPS = {
    b"KDUMP   ": "kdump's compressed format: save it with makedumpfile -E, or dump from QEMU without a format",
    b"DISKDUMP": "diskdump's format: save it with makedumpfile -E",
    b"makedumpfile": "makedumpfile's flattened format: rearrange it with makedumpfile -R, and save it with -E",
    b"QEVM": "QEMU's migration format: use dump-guest-memory instead",
    b"EMiL": "LiME's format: dump with kdump or QEMU instead",
}


@dataclass(frozen=True)
class ElfMachine:
    """e_machine of a core: its number, and its name such as 'EM_X86_64' ('EM_<number>' if pyelftools has no name)."""

    number: int
    name: str


@dataclass(frozen=True)
class ProgramHeader:
    """Program header with ELF's fields; `kind` is p_type, as pyelftools names it or its number."""

    index: int
    kind: str | int
    offset: int
    virtual: int
    physical: int
    file_size: int
    size: int


@dataclass(frozen=True)
class CoreHeaders:
    """ELF headers of a core."""

    machine: ElfMachine
    byte_order: ByteOrder
    program_headers: tuple[ProgramHeader, ...]


def read_headers(content: NDArray[np.uint8], path: Path) -> CoreHeaders:
    """Parse and check the ELF header and all program headers of `content`, the uncompressed bytes of `path`.

    Raises CoreFileError for a file other than ELF64 ET_CORE, and for headers that are not within the file.
    """
    byte_order = _check_identity(content[:_EHDR_SIZE].tobytes(), path)
    structs = ELFStructs(little_endian=byte_order == "little", elfclass=64)
    structs.create_basic_structs()
    header = _parse(structs.Elf_Ehdr, content, path, offset=0, size=_EHDR_SIZE, name="the ELF header")
    if header.e_type != "ET_CORE":
        raise CoreFileError(
            f"this ELF file is {_value(header.e_type)}, not a core (ET_CORE)",
            where=f"{path}, byte 16 (e_type)",
            rule="System V ABI, ELF header: e_type",
            hint="name a memory core; a kernel image (vmlinux) is not one",
        )
    if header.e_phentsize != _PHDR_SIZE:
        raise CoreFileError(
            f"program headers have {header.e_phentsize} bytes each, not {_PHDR_SIZE}",
            where=f"{path}, byte 54 (e_phentsize)",
            rule="ELF-64 Object File Format, figure 6",
            hint=DUMP_AGAIN,
        )
    number = ENUM_E_MACHINE.get(header.e_machine, header.e_machine)
    machine = ElfMachine(number=number, name=_value(header.e_machine, prefix="EM_"))
    structs.create_advanced_structs(header.e_type, header.e_machine, header.e_ident.EI_OSABI)
    return CoreHeaders(machine, byte_order, _read_program_headers(content, header, structs, path))


def _check_identity(start: bytes, path: Path) -> ByteOrder:
    """Check e_ident, the first 16 bytes, and return the byte order that it declares."""
    for magic, advice in _OTHER_DUMPS.items():
        if start.startswith(magic):
            raise CoreFileError("this memory dump is not an ELF core", where=f"{path}, byte 0", hint=f"it is {advice}")
    if not start.startswith(b"\x7fELF"):
        raise CoreFileError(
            f"this is not an ELF file: it begins with {start[:4].hex(' ') or 'nothing'}",
            where=f"{path}, byte 0",
            rule="System V ABI, ELF identification: 7f 45 4c 46",
            hint="name a memory core as kdump or QEMU's dump-guest-memory make it",
        )
    if len(start) < _EHDR_SIZE:
        raise CoreFileError(
            f"the file ends inside the ELF header, after {len(start)} bytes", where=str(path), hint=DUMP_AGAIN
        )
    if start[4] != 2:
        words = "a 32-bit ELF file" if start[4] == 1 else f"of unknown ELF class {start[4]}"
        raise CoreFileError(
            f"this is {words}, not a 64-bit one",
            where=f"{path}, byte 4 (EI_CLASS)",
            rule="hvolab reads ELFCLASS64: kernels with HVO are 64-bit",
            hint="dump the memory as an ELF64 core",
        )
    if start[5] not in _BYTE_ORDERS or start[6] != 1:
        raise CoreFileError(
            f"byte order {start[5]} or ELF version {start[6]} is unknown",
            where=f"{path}, bytes 5 and 6 (EI_DATA, EI_VERSION)",
            rule="System V ABI, ELF identification: 1 (little) or 2 (big); version 1",
            hint=DUMP_AGAIN,
        )
    return _BYTE_ORDERS[start[5]]


def _read_program_headers(
    content: NDArray[np.uint8], header: Any, structs: ELFStructs, path: Path
) -> tuple[ProgramHeader, ...]:
    """Return all program headers; raise CoreFileError where they do not fit the file."""
    count = header.e_phnum
    if count == PN_XNUM:
        name = "section header 0 (PN_XNUM)"
        section = _parse(structs.Elf_Shdr, content, path, offset=header.e_shoff, size=_SHDR_SIZE, name=name)
        count = section.sh_info
    end = header.e_phoff + count * _PHDR_SIZE
    if not count or header.e_phoff < _EHDR_SIZE or end > content.size:
        raise CoreFileError(
            f"{count} program headers at bytes {header.e_phoff:#x} to {end:#x} do not fit the file's {content.size:#x}",
            where=f"{path}, bytes 32 and 56 (e_phoff, e_phnum)",
            rule="a core has program headers, behind its ELF header and within the file",
            hint=DUMP_AGAIN,
        )
    stream = io.BytesIO(content[header.e_phoff : end].tobytes())
    parsed = (struct_parse(structs.Elf_Phdr, stream) for _ in range(count))
    return tuple(
        ProgramHeader(index, raw.p_type, raw.p_offset, raw.p_vaddr, raw.p_paddr, raw.p_filesz, raw.p_memsz)
        for index, raw in enumerate(parsed)
    )


def _parse(structure: Any, content: NDArray[np.uint8], path: Path, *, offset: int, size: int, name: str) -> Any:
    """Parse one structure of `size` bytes at `offset`; raise CoreFileError where the file ends inside it."""
    try:
        return struct_parse(structure, io.BytesIO(content[offset : offset + size].tobytes()))
    except ELFError as error:
        raise CoreFileError(
            f"{name} is not within the file's {content.size} bytes: {error}",
            where=f"{path}, byte {offset:#x}",
            rule="System V ABI, chapter 4",
            hint=DUMP_AGAIN,
        ) from error


def _value(parsed: str | int, *, prefix: str = "of type ") -> str:
    """Return a field's name, or `prefix` and its number if pyelftools has no name."""
    return parsed if isinstance(parsed, str) else f"{prefix}{parsed}"
