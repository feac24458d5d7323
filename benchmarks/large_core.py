# SPDX-License-Identifier: GPL-2.0-only
"""ELF core of a machine with thousands of huge pages, of which HVO has optimized three of four."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks import huge_machine
from hvolab.hvo import Hvo
from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.torture.elf_writer import write_note
from hvolab_vmcore.torture.note import vmcoreinfo_of

#: Offset of the memory in the core.
_START = 1 << 16
#: Frames that are searched for data at once.
_CHUNK = 1 << 14


class LargeCore(NamedTuple):
    """Contents of the core: bytes of memory, PFNs of all huge pages and of those that are optimized, ascending."""

    memory: int
    heads: npt.NDArray[np.int64]
    optimized: npt.NDArray[np.int64]


def write(path: Path, folios: int) -> LargeCore:
    """Write the sparse core of an x86_64 machine with ``folios`` huge pages of 2 MiB: one segment has all memory."""
    made = huge_machine.build(folios)
    machine, page = made.machine, made.machine.target.mode.page_size
    optimized = made.heads[: folios * 3 // 4]
    made.link(optimized)
    Hvo(machine).optimize_folios(made, made.folios)
    note = write_note(CoreNote("VMCOREINFO", 0, vmcoreinfo_of(machine, "6.12.0-bench")), "<")
    size, memory = machine.memory.size, machine.memory.pages
    with path.open("wb") as file:
        identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
        file.write(identity + struct.pack("<2HI3QI6H", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0))
        file.write(struct.pack("<2I6Q", 4, 0, 64 + 2 * 56, 0, 0, len(note), len(note), 4))
        file.write(struct.pack("<2I6Q", 1, 6, _START, 0, machine.memory.base, size, size, page))
        file.write(note)
        file.truncate(_START + size)
        # the folios, at the top of memory, were never written to
        for first in range(0, int(made.heads[0]) - machine.memory.first_pfn, _CHUNK):
            chunk = memory[first : first + _CHUNK]
            for frame in np.flatnonzero(chunk.any(axis=1)).tolist():
                file.seek(_START + (first + frame) * page)
                file.write(chunk[frame].tobytes())
    return LargeCore(size, made.heads, optimized)
