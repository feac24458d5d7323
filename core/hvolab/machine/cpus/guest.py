# SPDX-License-Identifier: GPL-2.0-only
"""Guest area of emulated CPUs: their text, mapped by pages, and frames of their own.

Every machine of an architecture that can be emulated has one, so that frames, tables and entries do not depend on the
kind of CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.arch import Level, PgprotRole
from hvolab.arithmetic import round_up
from hvolab.errors import MachineError
from hvolab.machine.memory.tables import PageTables

#: Frames reserved for the guest area.
SCRATCH_FRAMES = 64
_TEXT_FRAMES = 4


@dataclass(frozen=True)
class GuestArea:
    """Addresses of a guest area.

    text_va  VA of the text, read-only and executable
    text     PFNs of the text's frames: the first, and one past the last
    frames   PFNs of the frames for CPUs' data: argument blocks, buffers, stacks
    mmu      name and PA of the memory that the MMU reads besides page tables
    """

    text_va: int
    text: tuple[int, int]
    frames: tuple[int, int]
    mmu: tuple[tuple[str, int], ...] = ()


def map_guest_text(tables: PageTables, scratch: tuple[int, int], text_va: int) -> GuestArea:
    """Map text at ``text_va``; its frames and its page tables are in ``scratch``, a range of PFNs.

    Raises MachineError if something is mapped there already, or if ``scratch`` is too small.
    """
    mode = tables.target.mode
    first, stop = scratch
    free = first + _TEXT_FRAMES

    def new_table(level: Level) -> int:
        nonlocal free
        count = max(1, level.table_bytes >> mode.page_shift)
        pfn = round_up(free, count)
        free = pfn + count
        if free > stop:
            raise MachineError(f"{stop - first} frames are too few for guest text and its page tables")
        if empty := mode.format.empty(level.name):
            tables.memory.entry_view(pfn << mode.page_shift, level.entries)[:] = empty
        return pfn << mode.page_shift

    tables.map_leaves(text_va, first, _TEXT_FRAMES, mode.last.name, PgprotRole.KERNEL_EXEC, new_table)
    return GuestArea(text_va, (first, first + _TEXT_FRAMES), (free, stop))
