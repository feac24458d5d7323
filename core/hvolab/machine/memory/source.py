# SPDX-License-Identifier: GPL-2.0-only
"""Interface of physical memory that is read frame by frame when it is used, such as that of a dump."""

from __future__ import annotations

import enum
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pfns = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]


class FrameState(enum.IntEnum):
    """Knowledge of a source about one frame."""

    ABSENT = 0  #: the source describes no memory there
    NOT_SAVED = 1  #: memory was there, and its bytes are unknown
    ZERO = 2  #: all bytes are known to be zero
    SAVED = 3  #: the source has the bytes


class MemorySource(Protocol):
    """Physical memory whose frames are read when they are used."""

    def states(self, pfns: Pfns) -> Octets:
        """Return the FrameState of each frame, shape (n,); ABSENT for any number that is not a PFN."""
        ...

    def read(self, pfns: Pfns, size: int) -> Octets:
        """Return a copy of the first ``size`` bytes of each frame, shape (n, size); each is ZERO or SAVED.

        Raises CoreFileError, or another HvolabError, for bytes that are damaged.
        """
        ...
