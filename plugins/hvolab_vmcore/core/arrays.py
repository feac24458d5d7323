"""Array types, and the frames that a sparse memory holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.machine import PhysicalMemory

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


def held_frames(memory: PhysicalMemory, pfns: Ints) -> Flags:
    """Return one flag for each PFN: whether the memory holds that frame; False for negative numbers."""
    index = pfns - memory.first_pfn
    held: Flags = (index >= 0) & (index < memory.frames)
    if memory.present is not None:
        held[held] = memory.present[index[held]]
    return held
