# SPDX-License-Identifier: GPL-2.0-only
"""Files: mapped read-only, and unpacked where they are compressed."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab.errors import HvolabError
from hvolab_vmlinux.containers.compression import compression_of, unpack

#: Limit of the unpacked size where the caller sets none; the physical memory of this computer is another.
LARGEST_CONTENT: Final = 64 << 30


def map_file(path: Path, error_type: type[HvolabError]) -> mmap.mmap:
    """Map a file read-only; raises `error_type` for one that is missing, empty or not a regular file.

    The file must not shrink while the map is in use.
    """
    try:
        status = path.stat()
        # checked before opening: opening a FIFO would wait for a writer
        if not stat.S_ISREG(status.st_mode):
            raise error_type("this is not a regular file", where=str(path), hint="name a file, not a folder or device")
        if status.st_size == 0:
            raise error_type("the file is empty", where=str(path), hint="copy, fetch or dump it again")
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path, or a file that was just emptied
        raise error_type(
            f"the file cannot be opened: {error}", where=repr(str(path)), hint="check the path and its permissions"
        ) from error


def read_file(
    path: Path,
    error_type: type[HvolabError],
    *,
    max_size: int | None = None,
    on_cut: Callable[[str], None] | None = None,
) -> NDArray[np.uint8]:
    """Return the bytes of a file as a read-only array: mapped, or unpacked into memory where the file is compressed.

    max_size  largest unpacked size in bytes; by default 64 GiB or this computer's memory, whichever is less
    on_cut    as in :func:`unpack`; by default data that is cut short is an error
    Raises `error_type` for a file that :func:`map_file` refuses, and for one that is damaged, cut short or too large.
    """
    source = map_file(path, error_type)
    compression = compression_of(source)
    if compression is None:
        return np.frombuffer(source, dtype=np.uint8)
    if max_size is None:
        max_size = min(LARGEST_CONTENT, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return unpack(
        source, compression, str(path), limit=max_size, all_streams=True, error_type=error_type, on_cut=on_cut
    )
