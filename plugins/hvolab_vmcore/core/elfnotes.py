"""Notes of a memory core: owner, type and raw bytes.

kdump writes CORE/NT_PRSTATUS for each CPU and VMCOREINFO; QEMU writes CORE/NT_PRSTATUS
and QEMU (its CPU state, control registers included) for each CPU, and VMCOREINFO where the guest has a device for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hvolab.arithmetic import round_up
from hvolab.errors import CoreFileError
from hvolab_vmcore.core.elfheaders import DUMP_AGAIN, ByteOrder

_HEADER_SIZE = 12  # n_namesz, n_descsz, n_type: three 32-bit words, also in ELF64 as Linux and QEMU write it
_ALIGNMENT = 4


@dataclass(frozen=True)
class CoreNote:
    """Note of a core: its owner (bytes other than ASCII as escapes), its n_type, and its descriptor."""

    name: str
    type: int
    data: bytes = field(repr=False)


def read_notes(segment: bytes, offset: int, byte_order: ByteOrder, path: Path) -> Iterator[CoreNote]:
    """Return the notes of one PT_NOTE segment, whose bytes begin at `offset` of the uncompressed file at `path`.

    A header of zeros, or fewer zero bytes than a header has, ends the list.
    Raises CoreFileError for a note that does not end within the segment.
    Kernel: final_note() in kernel/vmcore_info.c, v6.12.
    """
    words = struct.Struct("<3I" if byte_order == "little" else ">3I")
    position = 0
    while any(segment[position : position + _HEADER_SIZE]):
        header = segment[position : position + _HEADER_SIZE]
        if len(header) < _HEADER_SIZE:
            raise _truncated(f"a note's header has {len(header)} bytes, not {_HEADER_SIZE}", path, offset + position)
        name_size, data_size, kind = words.unpack(header)
        name_start = position + _HEADER_SIZE
        data_start = name_start + round_up(name_size, _ALIGNMENT)
        if data_start + data_size > len(segment):
            text = f"a note with {name_size} bytes of name and {data_size} of data does not fit its segment"
            raise _truncated(text, path, offset + position)
        name = segment[name_start : name_start + name_size].partition(b"\0")[0]
        data = segment[data_start : data_start + data_size]
        yield CoreNote(name.decode("ascii", errors="backslashreplace"), kind, data)
        position = data_start + round_up(data_size, _ALIGNMENT)


def _truncated(what: str, path: Path, offset: int) -> CoreFileError:
    """Return the error for a note that does not end within its segment."""
    return CoreFileError(
        what,
        where=f"{path}, byte {offset:#x} of the uncompressed file",
        rule="System V ABI, note section: name and descriptor, each padded to 4 bytes, within PT_NOTE",
        hint=DUMP_AGAIN,
    )
