# SPDX-License-Identifier: GPL-2.0-only
"""Memory of the running machine, /proc/kcore: an ELF core that cannot be mapped, and whose bytes change.

Kernel: fs/proc/kcore.c, v6.12.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Final

import numpy as np

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.content import NO_RANGES, Content, Ints, Octets

LIVE: Final = Path("/proc/kcore")
_CHANGES: Final = "this is the running machine: its memory changes while it is read, and findings may be passing states"


class LiveContent:
    """Content that is read by system calls, since it cannot be mapped.

    path  the file
    """

    holes = missing = NO_RANGES
    warnings = (_CHANGES,)

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unreadable(error) from error
        weakref.finalize(self, os.close, self._descriptor)
        self.size = os.fstat(self._descriptor).st_size

    def _unreadable(self, error: OSError) -> CoreFileError:
        return CoreFileError(
            f"the memory of this machine cannot be read: {error.strerror}",
            where=str(self._path),
            rule="reading it needs root (CAP_SYS_RAWIO), CONFIG_PROC_KCORE, and a kernel that is not locked down",
            hint="run as root, or dump the memory",
        )

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end; raises CoreFileError where the kernel refuses."""
        parts, left = list[bytes](), min(size, max(0, self.size - offset))
        while left:
            try:
                part = os.pread(self._descriptor, left, offset)
            except OSError as error:
                raise self._unreadable(error) from error
            if not part:
                break
            parts.append(part)
            offset, left = offset + len(part), left - len(part)
        return b"".join(parts)

    def rows(self, offsets: Ints, size: int) -> Octets:
        """Return a copy of ``size`` bytes from each offset on, shape (n, size); zeros where the file ends."""
        found = np.zeros((offsets.size, size), dtype=np.uint8)
        for row, offset in enumerate(offsets.tolist()):
            part = self.read(offset, size)
            found[row, : len(part)] = np.frombuffer(part, np.uint8)
        return found


def is_live(path: Path) -> bool:
    """Return whether a path is that of the running machine's memory."""
    return path.resolve() == LIVE


def changes(content: Content) -> bool:
    """Return whether the bytes of a content change while it is read, so that two readings need not agree."""
    return isinstance(content, LiveContent)
