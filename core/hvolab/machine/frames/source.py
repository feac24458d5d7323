# SPDX-License-Identifier: GPL-2.0-only
"""Interface of page allocators, and the owners of a frame."""

from __future__ import annotations

import enum
from typing import Protocol

from hvolab.machine.intervals import Pfns


class Owner(enum.IntEnum):
    """Owner of a frame."""

    FREE = 0
    ALLOCATED = 1
    RESERVED = 2


class FrameSource(Protocol):
    """Source of frames for a machine; FrameAllocator documents each method."""

    def allocate(self, order: int, gfp: int, node: int) -> int | None:
        """Allocate a naturally aligned block of 2 ** order frames; return its head PFN, or None."""

    def allocate_run(self, count: int, gfp: int, node: int) -> Pfns:
        """Return the PFNs of `count` order-0 calls, up to the first that fails."""

    def allocate_contiguous(self, frames: int, gfp: int, node: int, align: int) -> int | None:
        """Allocate an aligned range of any length; return its first PFN, or None."""

    def certain(self, count: int, gfp: int, node: int) -> bool:
        """Return whether that many order-0 calls are sure to succeed."""

    def free(self, pfn: int, order: int) -> None:
        """Free a block."""

    def free_run(self, pfns: Pfns) -> None:
        """Free order-0 frames, one after the other."""

    def split(self, pfn: int, order: int, to_order: int = 0) -> None:
        """Split a block into several of `to_order` each, to be freed by themselves."""

    def release_reserved(self, pfns: Pfns) -> None:
        """Free frames that were reserved at boot."""

    def release_reserved_one(self, pfn: int) -> None:
        """Free a frame that was reserved at boot."""
