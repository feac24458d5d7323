# SPDX-License-Identifier: GPL-2.0-only
"""Memory of a machine as an emulator sees it: the same bytes, and no others."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from hvolab.errors import AbsentMemoryError
from hvolab.machine import PageTables, PhysicalMemory

_ALL = 7  # UC_PROT_ALL: page tables alone restrict accesses
#: Frames on each side of a missing one that are searched for more to map along with it.
_REACH = 1 << 18


class GuestMemory:
    """Mapping of memory into one emulator.

    RAM without holes is mapped at once. Of memory with a source, frames are read and mapped when they are first
    accessed, each with those around it that were read already: there may be very many, and HVO visits few.
    """

    def __init__(self, uc: Any, memory: PhysicalMemory, tables: PageTables) -> None:
        self._uc = weakref.proxy(uc)  # its hooks hold this object
        self._memory = memory
        self._tables = tables
        self._mapped: npt.NDArray[np.bool_] | None = None
        if memory.present is None:
            self._map(0, memory.frames)
        else:
            self._mapped = np.zeros(memory.frames, dtype=np.bool_)

    def _map(self, first: int, count: int) -> None:
        memory = self._memory
        shift = memory.page_shift
        host = memory.octets.ctypes.data + (first << shift)
        self._uc.mem_map_ptr(memory.base + (first << shift), count << shift, _ALL, host)

    def provide(self, pa: int) -> bool:
        """Map the run of frames around `pa`; return False if it is mapped already, or outside memory."""
        memory, mapped, present = self._memory, self._mapped, self._memory.present
        frame = (pa - memory.base) >> memory.page_shift
        if mapped is None or present is None or not 0 <= frame < memory.frames:
            return False
        if mapped[frame] or not memory.holds(pa):
            return False
        low, high = max(0, frame - _REACH), min(memory.frames, frame + _REACH)
        wanted = present[low:high] & ~mapped[low:high]
        before = np.flatnonzero(~wanted[: frame - low])
        after = np.flatnonzero(~wanted[frame - low :])
        first = low + (int(before[-1]) + 1 if before.size else 0)
        stop = frame + int(after[0]) if after.size else high
        self._map(first, stop - first)
        mapped[first:stop] = True
        return True

    def provide_walk(self, va: int) -> bool:
        """Map the tables that a walk for `va` reads and the frame that it leads to; return False if all were mapped."""
        if self._mapped is None:
            return False
        provided = False
        try:
            for step in self._tables.walk(va):
                provided |= self.provide(step.slot)
            frame = self._tables.frame_of(va)
        except AbsentMemoryError:
            return provided
        if frame is not None:
            provided |= self.provide(frame << self._memory.page_shift)
        return provided
