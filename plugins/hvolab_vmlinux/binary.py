# SPDX-License-Identifier: GPL-2.0-only
"""Structures and pieces of bytes that may end too early, and pieces of arrays, joined."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.errors import KernelImageError


def fields(layout: str, content: bytes, offset: int, name: str) -> tuple[Any, ...]:
    """Return the fields of a structure (in the notation of `struct`) at byte `offset`.

    Raises KernelImageError, with the structure's `name`, where the content ends too early.
    """
    return struct.unpack(layout, piece(content, offset, struct.calcsize(layout), name))


def piece(content: bytes, offset: int, size: int, name: str) -> bytes:
    """Return `size` bytes at `offset`; raises KernelImageError, with their `name`, where the content ends too early."""
    if offset < 0 or size < 0 or offset + size > len(content):
        where = f"bytes {offset:#x} to {offset + size:#x}"
        raise damaged(f"{name} is not within the {len(content)} bytes", where)
    return content[offset : offset + size]


def damaged(what: str, where: str, rule: str = "") -> KernelImageError:
    """Return the error for content that contradicts its own headers."""
    hint = "copy or fetch the file again: this copy is damaged or cut short"
    return KernelImageError(what, where=where, rule=rule, hint=hint)


def joined(source: NDArray[Any], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """Join the pieces of `source` that begin at `starts` and have `lengths` elements."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    if total == 0:
        return source[:0]
    shift = (starts - (ends - lengths)).astype(np.int32)
    gathered: NDArray[Any] = source[np.repeat(shift, lengths) + np.arange(total, dtype=np.int32)]
    return gathered
