# SPDX-License-Identifier: GPL-2.0-only
"""State of every frame, one byte each, and the checks that a frame is used as its state allows.

Zeroed memory costs only the pages of it that are touched, and zero means free: the table of a machine of 1 TiB costs
nothing until its frames are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from hvolab.errors import MachineError, OwnershipError
from hvolab.machine.frames.source import Owner
from hvolab.machine.frames.zone_map import ZoneMap
from hvolab.machine.intervals import Pfns
from hvolab.machine.memory.mapping import RestorableMapping

# Plain ints, because every allocation compares them.
FREE: Final = int(Owner.FREE)
ALLOCATED: Final = int(Owner.ALLOCATED)  # by itself, an order-0 allocation
RESERVED: Final = int(Owner.RESERVED)
HEAD: Final = 3  # allocated, the first frame of a block
TAIL: Final = 4  # allocated, a later frame of a block
NOT_RAM: Final = 5  # never stored

_OWNERS = np.array([Owner.FREE, Owner.ALLOCATED, Owner.RESERVED, Owner.ALLOCATED, Owner.ALLOCATED], np.uint8)
_OWNER_NAMES = {
    FREE: "FREE",
    ALLOCATED: "ALLOCATED (order 0)",
    RESERVED: "RESERVED",
    TAIL: "ALLOCATED (a later frame of a block)",
    NOT_RAM: "none: it is not RAM",
}
_HINTS = {
    FREE: "free a frame once, and use only allocated frames",
    ALLOCATED: "free an allocated frame with free() or free_run(), with order 0",
    RESERVED: "free a reserved frame with release_reserved()",
    HEAD: "free or split the block from its head, with its own order",
    TAIL: "free the whole block from its head, or split() it first",
    NOT_RAM: "use frames of the machine's zones only",
}


class FrameStates:
    """State of each frame of a machine.

    marks   uint8 by PFN: FREE, ALLOCATED, RESERVED, HEAD or TAIL; FREE for absent memory
    scalar  the marks as Python integers, for fast access to one
    orders  the order of each allocated block by the PFN of its head, blocks of order 0 left out
    """

    def __init__(self, zone_map: ZoneMap) -> None:
        self._zone_map = zone_map
        self._mapping = RestorableMapping(max(1, zone_map.limit))
        self.marks: npt.NDArray[np.uint8] = self._mapping.octets[: zone_map.limit]
        self.scalar = memoryview(self._mapping.buffer)
        self.orders: dict[int, int] = {}

    def save(self) -> Callable[[], None]:
        """Save the states; return the function that restores them."""
        restore_marks, orders = self._mapping.save(), self.orders.copy()

        def restore() -> None:
            restore_marks()
            self.orders = orders.copy()

        return restore

    def owner(self, pfns: Pfns) -> npt.NDArray[np.uint8]:
        """Return the Owner of each frame, in the shape of `pfns`; raises AbsentMemoryError for absent memory."""
        absent = self._zone_map.indices_of(pfns) < 0
        if absent.any():
            self._zone_map.zone_of(int(pfns[absent][0]))  # raises
        owners: npt.NDArray[np.uint8] = _OWNERS[self.marks[pfns]]
        return owners

    def order_of(self, pfn: int) -> int | None:
        """Return the order of the allocation that begins at this frame, or None if none does."""
        mark = self.mark_of(pfn)
        if mark == ALLOCATED:
            return 0
        return self.orders[pfn] if mark == HEAD else None

    def mark_of(self, pfn: int) -> int:
        """Return the mark of one frame, NOT_RAM for absent memory."""
        return self.scalar[pfn] if self._zone_map.contains(pfn) else NOT_RAM

    def set_block(self, pfn: int, order: int) -> None:
        """Mark a block as allocated."""
        if not order:
            self.scalar[pfn] = ALLOCATED
            return
        self.marks[pfn + 1 : pfn + (1 << order)] = TAIL
        self.marks[pfn] = HEAD
        self.orders[pfn] = order

    def set_blocks(self, heads: Pfns, order: int) -> None:
        """Mark blocks of one order as allocated."""
        if not order:
            self.marks[heads] = ALLOCATED
            return
        for head in heads.tolist():
            self.set_block(head, order)

    def clear_block(self, pfn: int, order: int, mark: int) -> None:
        """Set this mark for each frame of an allocated block."""
        self.marks[pfn : pfn + (1 << order)] = mark
        self.orders.pop(pfn, None)

    def require_block(self, pfn: int, order: int, doing: str) -> None:
        """Raise OwnershipError unless an allocation of this order begins at this frame."""
        found = self.order_of(pfn)
        if found != order:
            raise self.refusal(pfn, f"{doing} PFN {pfn:#x} with order {order} goes against its owner")

    def require_each(self, pfns: Pfns, mark: int, doing: str) -> None:
        """Raise OwnershipError unless each frame has this mark and none is listed twice."""
        if not pfns.size:
            return
        # A negative PFN, read as unsigned, is a huge one. Only a search for free frames must look for holes as well,
        # because the mark of absent memory is FREE.
        if int(pfns.view(np.uint64).max()) >= self._zone_map.limit or mark == FREE:
            self._refuse(pfns[self._zone_map.indices_of(pfns) < 0], doing)
        self._refuse(pfns[self.marks[pfns] != mark], doing)
        ascending = np.sort(pfns, kind="stable")  # the fastest kind for PFNs that ascend or descend
        self._refuse(ascending[1:][ascending[1:] == ascending[:-1]], f"{doing} twice in one call")

    def _refuse(self, wrong: Pfns, doing: str) -> None:
        """Raise OwnershipError for the first of these frames, if there is one."""
        if wrong.size:
            raise self.refusal(int(wrong[0]), f"{doing} PFN {int(wrong[0]):#x} goes against its owner")

    def require_free_range(self, start: int, count: int) -> None:
        """Raise MachineError unless these frames are RAM and free."""
        present = sum(stop - first for _, first, stop in self._zone_map.pieces(start, start + count))
        if count < 1 or present < count or self.marks[start : start + count].any():
            raise MachineError(
                f"{count} frames from PFN {start:#x} are to be reserved, and not all are free",
                where=f"PFN {start:#x} up to {start + count:#x}, of which {present} frames are RAM",
                rule="boot reserves memory before any of it has an owner",
                hint="reserve another range, or let reserve_any() find one",
            )

    def refusal(self, pfn: int, what: str) -> OwnershipError:
        """Return the error to raise, with the owner of the frame."""
        found = self.mark_of(pfn)
        owner = _OWNER_NAMES.get(found) or f"ALLOCATED (head of a block of order {self.orders[pfn]})"
        zone = "" if found == NOT_RAM else f", {self._zone_map.zone_of(pfn)}"
        return OwnershipError(
            what,
            where=f"PFN {pfn:#x}, owner {owner}{zone}",
            rule="every frame has exactly one owner",
            hint=_HINTS[found],
        )
