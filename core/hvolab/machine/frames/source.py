"""What a machine needs of whoever hands out its frames, and the words for who owns one."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hvolab.machine.intervals import Pfns


class Owner(enum.IntEnum):
    """Who owns a frame."""

    FREE = 0
    ALLOCATED = 1
    RESERVED = 2


class FrameSource(Protocol):
    """Hands out frames and takes them back; FrameAllocator says what each method means."""

    def allocate(self, order: int, gfp: int, node: int) -> int | None:
        """The head PFN of a naturally aligned block of 2 ** order frames, or None."""

    def allocate_run(self, count: int, gfp: int, node: int) -> Pfns:
        """The PFNs of `count` order-0 calls, up to the first that fails."""

    def allocate_contiguous(self, frames: int, gfp: int, node: int, align: int) -> int | None:
        """The first PFN of an aligned range of any length, or None."""

    def certain(self, count: int, gfp: int, node: int) -> bool:
        """Whether that many order-0 calls are sure to succeed, whoever makes them one after the other."""

    def free(self, pfn: int, order: int) -> None:
        """Take back a block."""

    def free_run(self, pfns: Pfns) -> None:
        """Take back order-0 frames, one after the other."""

    def split(self, pfn: int, order: int, to_order: int = 0) -> None:
        """Make of one block several of `to_order` each that are freed by themselves."""

    def release_reserved(self, pfns: Pfns) -> None:
        """Take back frames that were reserved at boot."""
