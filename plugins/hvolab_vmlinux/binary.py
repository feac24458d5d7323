"""Reading fixed structures from bytes that may end too early, and joining many pieces of an array at once."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.errors import KernelImageError

_HINT = "copy or fetch the file again: this copy is damaged or cut short"


def fields(layout: str, content: bytes, offset: int, what: str) -> tuple[Any, ...]:
    """The fields of a structure (`struct` notation) at byte `offset`.

    Raises KernelImageError, which calls the structure `what`, where the content ends before it.
    """
    size = struct.calcsize(layout)
    if offset < 0 or offset + size > len(content):
        raise damaged(f"{what} does not lie within the {len(content)} bytes", f"byte {offset:#x}")
    return struct.unpack_from(layout, content, offset)


def piece(content: bytes, offset: int, size: int, what: str) -> bytes:
    """The `size` bytes at `offset`; KernelImageError, which calls them `what`, where the content ends before."""
    if offset < 0 or size < 0 or offset + size > len(content):
        raise damaged(
            f"{what} does not lie within the {len(content)} bytes", f"bytes {offset:#x} to {offset + size:#x}"
        )
    return content[offset : offset + size]


def damaged(what: str, where: str, rule: str = "") -> KernelImageError:
    """The error for content that contradicts its own headers."""
    return KernelImageError(what, where=where, rule=rule, hint=_HINT)


def aligned(offset: int, alignment: int) -> int:
    """The first multiple of `alignment` that is not below `offset`."""
    return -(-offset // alignment) * alignment


def joined(source: NDArray[Any], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """The pieces of `source` that begin at `starts` and have `lengths` elements, one behind the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    if total == 0:
        return source[:0]
    shift = (starts - (ends - lengths)).astype(np.int32)
    gathered: NDArray[Any] = source[np.repeat(shift, lengths) + np.arange(total, dtype=np.int32)]
    return gathered


def longest_run(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """First index and length of the longest run of true values; (0, 0) if there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    if not len(edges):
        return 0, 0
    starts, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best] - starts[best])
