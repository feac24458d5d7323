# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of one struct page of a dump, and its fields by their offsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hvolab.machine import FrameState
from hvolab.release import StructPageLayout
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.page.way import Way, state_of, way_to

#: Lowest bit of ``compound_head`` of a tail.
TAIL: Final = 1


@dataclass(frozen=True)
class StructPage:
    """A struct page.

    pfn, va  PFN that it describes, and its VA
    way      the walk to it
    state    state of the frame that holds it; None: it is not mapped, or the dump lacks a page table
    data     its bytes; None: the dump does not have them
    layout   its fields
    order    'little' or 'big'
    """

    pfn: int
    va: int
    way: Way
    state: FrameState | None
    data: bytes | None
    layout: StructPageLayout
    order: str

    def value(self, offset: int, size: int) -> int:
        """Return the number at an offset; 0 where the dump does not have the bytes."""
        data = self.data or b""
        return int.from_bytes(data[offset : offset + size], "little" if self.order == "little" else "big")

    def word(self, offset: int) -> int:
        """Return the word at an offset."""
        return self.value(offset, 8)

    @property
    def flags(self) -> int:
        """The flags word."""
        return self.word(self.layout.flags)

    @property
    def has_head_flag(self) -> bool:
        """PG_head is set."""
        return bool(self.flags >> self.layout.pg_head & 1)

    @property
    def link(self) -> int:
        """The word that leads a tail to its head."""
        return self.word(self.layout.compound_head)

    @property
    def head_va(self) -> int | None:
        """VA of the head, if the bytes are those of a tail. Kernel: compound_head(), v6.12, v7.2."""
        if not self.link & TAIL:
            return None
        return self.layout.head_from_link(self.va, self.link)


def read_struct_page(snapshot: CoreSnapshot, pfn: int) -> StructPage:
    """Read the struct page of a PFN."""
    layout, memory = snapshot.struct_pages.layout, snapshot.memory
    va = (snapshot.vmemmap + pfn * layout.size) & (1 << 64) - 1
    way = way_to(snapshot, va)
    if way.pa is None:
        return StructPage(pfn, va, way, None, None, layout, snapshot.core.byte_order)
    frame, start = way.pa >> memory.page_shift, way.pa & (1 << memory.page_shift) - 1
    state, data = state_of(snapshot, frame), None
    if state >= FrameState.ZERO:
        page = memory.peek(np.array([frame], dtype=np.int64), 1 << memory.page_shift)
        data = page.tobytes()[start : start + layout.size]
    return StructPage(pfn, va, way, state, data, layout, snapshot.core.byte_order)
