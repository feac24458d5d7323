# SPDX-License-Identifier: GPL-2.0-only
"""Physical memory of a dump, as the memory of a machine; array types."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import round_up
from hvolab.errors import CoreFileError, MachineError
from hvolab.machine import PhysicalMemory
from hvolab_vmcore.core.unmapped import UnmappedMemory
from hvolab_vmcore.files.dump import Dump

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

#: RAM starts at a multiple of this, so that the struct page of its first frame starts a page of any size.
_ALIGNMENT = 1 << 27
#: Room for new frames: twice the vmemmap (1/64 of memory), plus this many bytes.
_SPARE = 256 << 20
_VMEMMAP_SHARE = 32


def memory_of(dump: Dump, page_shift: int, entry_byte_order: str | None = None) -> PhysicalMemory:
    """Return memory from the lowest to the highest PA of the dump, with room for new frames above.

    entry_byte_order  of page-table entries; None: that of the dump's data

    Frames are read from the file when they are first used. Frames of the room are absent until they are allocated.
    Where PAs are too far apart to be mapped, the memory has no room and is not mapped: nothing can be stored to it.
    """
    alignment = max(_ALIGNMENT, 1 << page_shift)
    base = min(start for start, _ in dump.ranges) // alignment * alignment
    end = round_up(max(end for _, end in dump.ranges), alignment)
    room = round_up((end - base) // _VMEMMAP_SHARE + _SPARE, alignment)
    build = partial(
        PhysicalMemory,
        page_shift=page_shift,
        byte_order=dump.byte_order,
        entry_byte_order=entry_byte_order,
        source=dump.frames(page_shift),
    )
    try:
        return build(base, end - base + room)
    except (MemoryError, MachineError):
        return UnmappedMemory(base, end - base, **build.keywords)


def check_mapped(memory: PhysicalMemory, path: Path) -> None:
    """Raise CoreFileError for memory on which no machine can be built."""
    if isinstance(memory, UnmappedMemory):
        raise CoreFileError(
            f"the memory spans {memory.size:#x} bytes: this computer cannot map as much",
            where=str(path),
            rule="a machine that is built from a dump needs all memory up to the highest PA in one mapping",
            hint="`hvolab inspect` and `hvolab page` read this dump",
        )


def first_new_pfn(dump: Dump, page_shift: int) -> int:
    """Return the first PFN above all memory of the dump; new frames are allocated from there."""
    return round_up(max(end for _, end in dump.ranges), _ALIGNMENT) >> page_shift
