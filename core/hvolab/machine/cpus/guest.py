"""What an emulated CPU has in a machine: its text, mapped by pages, and frames of its own.

It is there in every machine whose architecture can be emulated, so that frames, tables and entries are the same
whichever kind of CPU the machine has.
"""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.arch import Level, PgprotRole
from hvolab.errors import MachineError
from hvolab.machine.memory.tables import PageTables

#: Frames that a machine sets aside for all this.
SCRATCH_FRAMES = 64
_TEXT_FRAMES = 4


@dataclass(frozen=True)
class GuestArea:
    """Where an emulated CPU's own things are.

    text_va  VA of the text, read-only and executable
    text     PFNs of the text's frames: the first, and one past the last
    frames   PFNs of the frames for what CPUs read and write: argument blocks, buffers, stacks
    """

    text_va: int
    text: tuple[int, int]
    frames: tuple[int, int]


def map_guest_text(tables: PageTables, scratch: tuple[int, int], text_va: int) -> GuestArea:
    """Map text at ``text_va`` in frames of ``scratch``, a range of PFNs; the tables below it are taken from there too.

    Raises MachineError where something is mapped there already, or the frames do not suffice.
    """
    target, memory = tables.target, tables.memory
    mode = target.mode
    first, stop = scratch
    free = first + _TEXT_FRAMES

    def new_table(level: Level) -> int:
        """PA of a table whose entries are all none, from the frames that are set aside."""
        nonlocal free
        count = max(1, level.table_bytes >> mode.page_shift)
        pfn = -(-free // count) * count
        free = pfn + count
        if free > stop:
            raise MachineError(f"{stop - first} frames are too few for guest text and its page tables")
        if empty := mode.format.empty(level.name):
            memory.word_view(pfn << mode.page_shift, level.entries)[:] = empty
        return pfn << mode.page_shift

    for page in range(_TEXT_FRAMES):
        va = text_va + (page << mode.page_shift)
        tables.map_leaf(va, first + page, mode.last.name, PgprotRole.KERNEL_EXEC, new_table)
    return GuestArea(text_va, (first, first + _TEXT_FRAMES), (free, stop))
