# SPDX-License-Identifier: GPL-2.0-only
"""Parts of a machine that its CPUs share, and whose uses are in footprints: shared tail pages, flags of frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hvolab_explorer.steps.scheduler import Scheduler

Pfns = npt.NDArray[np.int64]


class SharedTails(dict[tuple[int, int, int], int]):
    """Pages that tails share; a look-up and an exchange are a step each. Kernel: zone->vmemmap_tails, v7.2."""

    def __init__(self, scheduler: Scheduler, tails: dict[tuple[int, int, int], int]) -> None:
        super().__init__(tails)
        self._scheduler = scheduler

    def copy(self) -> SharedTails:
        """Return a copy whose operations are steps as well."""
        return SharedTails(self._scheduler, self)

    def get(self, key: tuple[int, int, int], default: Any = None) -> Any:
        """Look up in one step."""
        self._scheduler.point("read vmemmap_tails")
        self._scheduler.footprint.reads.add(("vmemmap_tails",))
        return super().get(key, default)

    def setdefault(self, key: tuple[int, int, int], default: Any = None) -> Any:
        """Exchange in one step, unless there is a page already."""
        self._scheduler.point("cmpxchg vmemmap_tails")
        self._scheduler.footprint.writes.add(("vmemmap_tails",))
        return super().setdefault(key, default)


class ExploredRecords:
    """Flags of frames, whose reads are in the footprint of the step under way.

    touch  records that a frame's struct page is read
    """

    def __init__(self, inner: Any, touch: Callable[[int], None]) -> None:
        self._touch = touch
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        setattr(self, name, found)  # not looked up again for each frame
        return found

    def reserved(self, pfns: Pfns) -> npt.NDArray[np.bool_]:
        """Return whether frames are reserved."""
        for pfn in pfns.tolist():
            self._touch(pfn)
        reserved: npt.NDArray[np.bool_] = self._inner.reserved(pfns)
        return reserved
