"""The list of vmemmap pages on their way between the vmemmap and the allocator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pfns = npt.NDArray[np.int64]
_FIRST_CAPACITY = 64
_EMPTY: Pfns = np.empty(0, dtype=np.int64)  # nothing is ever stored in it


class VmemmapPages:
    """PFNs in the order of the kernel's list: what is added comes first, and leaves first.

    Kernel: the ``vmemmap_pages`` list of struct vmemmap_remap_walk, linked through the pages' ``lru`` words; here
    it is an array, and those words stay as they are.
    """

    def __init__(self) -> None:
        self._buffer: Pfns = _EMPTY
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, pfn: int) -> None:
        """Kernel: list_add()."""
        if self._count == self._buffer.size:
            self._reserve(1)
        self._buffer[self._count] = pfn
        self._count += 1

    def add_run(self, pfns: Pfns) -> None:
        """Add pages one after the other: the last of them comes first."""
        count = pfns.size
        if self._count + count > self._buffer.size:
            self._reserve(count)
        self._buffer[self._count : self._count + count] = pfns
        self._count += count

    def pop(self) -> int:
        """Take the first page. Kernel: list_first_entry() and list_del()."""
        self._count -= 1
        return int(self._buffer[self._count])

    def pop_run(self, count: int) -> Pfns:
        """Take the first ``count`` pages, in this order."""
        self._count -= count
        return self._buffer[self._count : self._count + count][::-1]

    def take_all(self) -> Pfns:
        """Every page from first to last; the list is empty afterwards."""
        pfns = self._buffer[: self._count][::-1]
        self._buffer = _EMPTY
        self._count = 0
        return pfns

    def pfns(self) -> Pfns:
        """Every page from first to last, as a copy."""
        return self._buffer[: self._count][::-1].copy()

    def _reserve(self, count: int) -> None:
        larger = np.empty(max(_FIRST_CAPACITY, 2 * self._buffer.size, self._count + count), dtype=np.int64)
        larger[: self._count] = self._buffer[: self._count]
        self._buffer = larger
