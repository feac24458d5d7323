"""The physical memory that a core holds, as the memory of a machine: which frames are there, and their bytes."""

from __future__ import annotations

import numpy as np

from hvolab.errors import CoreFileError
from hvolab.machine import PhysicalMemory
from hvolab_vmcore.core.elfcore import CoreFile, CoreSegment

#: RAM starts at a multiple of this, so that the struct page of its first frame starts a page of any size.
_ALIGNMENT = 1 << 27
#: Room for new frames, in bytes: all of the vmemmap twice over (1/64 of memory), and this much for the rest.
_SPARE = 256 << 20
_VMEMMAP_SHARE = 32
#: Bytes looked at in one go: zeros are not copied, so that memory which is not touched is not backed.
_CHUNK = 1 << 18


def load_memory(core: CoreFile, page_shift: int, byte_order: str) -> PhysicalMemory:
    """Memory from the lowest to the highest PA of the core's segments, and room for new frames above.

    ``present`` tells the frames that the core holds whole; the room is absent until frames of it are handed out.
    Raises CoreFileError where the segments are too far apart to be mapped, or hold no whole frame.
    """
    page = 1 << page_shift
    alignment = max(_ALIGNMENT, page)
    base = core.segments[0].physical // alignment * alignment
    end = -(-core.segments[-1].end // alignment) * alignment
    room = -(-((end - base) // _VMEMMAP_SHARE + _SPARE) // alignment) * alignment
    memory = PhysicalMemory(base, end - base + room, page_shift=page_shift, byte_order=byte_order)
    try:
        memory.present = np.zeros(memory.frames, dtype=np.bool_)
    except MemoryError as error:
        raise CoreFileError(
            f"the segments lie {end - base:#x} bytes apart: this computer has no memory for a flag for each frame",
            where=str(core.path),
            hint="dump the memory again, or read the core on a larger computer",
        ) from error
    for segment in core.segments:
        first, last = -(-segment.physical // page), segment.end // page
        memory.present[first - memory.first_pfn : max(first, last) - memory.first_pfn] = True
        _copy(core, segment, memory)
    return memory


def first_new_pfn(core: CoreFile, page_shift: int) -> int:
    """The first PFN above all that the core holds, from which new frames may be taken."""
    return -(-core.segments[-1].end // _ALIGNMENT) * _ALIGNMENT >> page_shift


def _copy(core: CoreFile, segment: CoreSegment, memory: PhysicalMemory) -> None:
    """Put the bytes of a segment where they belong."""
    data = core.data(segment)
    at = segment.physical - memory.base
    for start in range(0, data.size, _CHUNK):
        piece = data[start : start + _CHUNK]
        if piece.any():
            memory.octets[at + start : at + start + piece.size] = piece
