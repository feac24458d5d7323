# SPDX-License-Identifier: GPL-2.0-only
"""Physical memory of a core, as the memory of a machine; array types, and the frames that a memory holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import div_round_up, round_up
from hvolab.errors import CoreFileError
from hvolab.machine import PhysicalMemory
from hvolab_vmcore.core.elfcore import CoreFile

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

#: RAM starts at a multiple of this, so that the struct page of its first frame starts a page of any size.
_ALIGNMENT = 1 << 27
#: Room for new frames: twice the vmemmap (1/64 of memory), plus this many bytes.
_SPARE = 256 << 20
_VMEMMAP_SHARE = 32
#: Bytes copied at once. Pieces that are all zeros are not copied, so that the host does not back them.
_CHUNK = 1 << 18


def load_memory(core: CoreFile, page_shift: int, byte_order: str) -> PhysicalMemory:
    """Return memory from the lowest to the highest PA of the core's segments, with room for new frames above.

    ``present`` is set for frames that the core holds whole. The room is absent until frames of it are allocated.
    Raises CoreFileError where the segments are too far apart to be mapped.
    """
    page = 1 << page_shift
    alignment = max(_ALIGNMENT, page)
    base = core.segments[0].physical // alignment * alignment
    end = round_up(core.segments[-1].end, alignment)
    room = round_up((end - base) // _VMEMMAP_SHARE + _SPARE, alignment)
    memory = PhysicalMemory(base, end - base + room, page_shift=page_shift, byte_order=byte_order)
    try:
        memory.present = np.zeros(memory.frames, dtype=np.bool_)
    except MemoryError as error:
        what = f"the segments span {end - base:#x} bytes: this computer lacks memory for one flag per frame"
        hint = "dump the memory again, or read the core on a larger computer"
        raise CoreFileError(what, where=str(core.path), hint=hint) from error
    for segment in core.segments:
        first, last = div_round_up(segment.physical, page), segment.end // page
        memory.present[first - memory.first_pfn : max(first, last) - memory.first_pfn] = True
        data, offset = core.data(segment), segment.physical - base
        for start in range(0, data.size, _CHUNK):
            piece = data[start : start + _CHUNK]
            if piece.any():
                memory.octets[offset + start : offset + start + piece.size] = piece
    return memory


def first_new_pfn(core: CoreFile, page_shift: int) -> int:
    """Return the first PFN above all memory of the core; new frames are allocated from there."""
    return round_up(core.segments[-1].end, _ALIGNMENT) >> page_shift


def held_frames(memory: PhysicalMemory, pfns: Ints) -> Flags:
    """Return one flag for each PFN: whether the memory holds that frame; False for negative numbers."""
    index = pfns - memory.first_pfn
    held: Flags = (index >= 0) & (index < memory.frames)
    if memory.present is not None:
        held[held] = memory.present[index[held]]
    return held
