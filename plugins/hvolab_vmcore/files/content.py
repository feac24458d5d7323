# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of a dump's file, read piece by piece."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hvolab.errors import CoreFileError
from hvolab_vmlinux.containers.files import read_file

Ints = NDArray[np.int64]
Octets = NDArray[np.uint8]

#: Most holes of a file that are looked for; bytes of those after them are read, as zeros.
_MOST_HOLES: Final = 1 << 16
#: Ranges of a content that has none.
NO_RANGES: Final = np.empty((0, 2), dtype=np.int64)


def overlap(ranges: Ints, starts: Ints, ends: Ints) -> NDArray[np.bool_]:
    """Return one flag for each start and end: one of the ranges, ascending and of shape (n, 2), overlaps it."""
    first, last = np.searchsorted(ranges[:, 1], starts, side="right"), np.searchsorted(ranges[:, 0], ends)
    found: NDArray[np.bool_] = first < last
    return found


class Content(Protocol):
    """Bytes of a file, or of a file that is made from others.

    size      bytes
    holes     ranges whose bytes are known to be zero, ascending, as offsets of the first and one past the last, (n, 2)
    missing   ranges that are read as zeros, but are unknown, since the file is cut short; likewise
    warnings  what is missing in the file, in sentences
    """

    @property
    def size(self) -> int:
        """Number of bytes."""
        ...

    @property
    def holes(self) -> Ints:
        """Ranges of zero bytes, shape (n, 2)."""
        ...

    @property
    def missing(self) -> Ints:
        """Ranges of unknown bytes, shape (n, 2)."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about bytes that are missing."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end."""
        ...

    def rows(self, offsets: Ints, size: int) -> Octets:
        """Return a copy of ``size`` bytes from each offset on, shape (n, size); all of them are within the content."""
        ...


class MappedContent:
    """Content of a mapped file, or of an array.

    octets  the bytes, read-only
    """

    missing = NO_RANGES

    def __init__(self, octets: Octets, holes: Ints = NO_RANGES) -> None:
        self.octets = octets
        self.size = int(octets.size)
        self.holes = holes
        self.warnings: tuple[str, ...] = ()

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end."""
        return self.octets[offset : offset + size].tobytes()

    def rows(self, offsets: Ints, size: int) -> Octets:
        """Return a copy of ``size`` bytes from each offset on, shape (n, size)."""
        if not offsets.size:
            return np.empty((0, size), dtype=np.uint8)
        found: Octets = sliding_window_view(self.octets, size)[offsets]
        return found


def open_content(path: Path, *, max_size: int | None = None) -> MappedContent:
    """Map the file at ``path``; a compressed one is unpacked into memory, as far as it goes.

    max_size  largest unpacked size in bytes; by default 64 GiB or this computer's memory, whichever is less
    The file must not be truncated while the result is in use. Raises CoreFileError.
    """
    warnings = list[str]()
    octets = read_file(path, CoreFileError, max_size=max_size, on_cut=warnings.append)
    content = MappedContent(octets, _holes(path, octets.size))
    content.warnings = tuple(warnings)
    return content


def _holes(path: Path, size: int) -> Ints:
    """Return the holes of a sparse file; none of a file that has another size, since it was unpacked."""
    status = path.stat()
    if status.st_size != size or status.st_blocks * 512 >= size:
        return NO_RANGES
    found, end = list[tuple[int, int]](), 0
    with path.open("rb", buffering=0) as file:
        try:
            while end < size and len(found) < _MOST_HOLES:
                start = os.lseek(file.fileno(), end, os.SEEK_HOLE)
                end = os.lseek(file.fileno(), start, os.SEEK_DATA)
                found.append((start, end))
        except OSError:  # ENXIO: no data follow
            if start < size:
                found.append((start, size))
    return np.array(found, dtype=np.int64).reshape(-1, 2)
