"""The list of vmemmap pages on their way between the vmemmap and the allocator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Pfns = npt.NDArray[np.int64]
_FIRST_CAPACITY = 64


class VmemmapPages:
    """PFNs in the order of the kernel's list: what is added comes first, and leaves first.

    Kernel: the ``vmemmap_pages`` list of struct vmemmap_remap_walk, linked through the pages' ``lru`` words; here
    it is an array, and those words stay as they are.

    last_pfn  the highest PFN that will be added, if it is known: a batch may hold millions, in half the bytes
    """

    def __init__(self, last_pfn: int | None = None) -> None:
        narrow = last_pfn is not None and last_pfn <= np.iinfo(np.uint32).max
        self._buffer: npt.NDArray[Any] = np.empty(0, dtype=np.uint32 if narrow else np.int64)
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
        return self._buffer[self._count : self._count + count][::-1].astype(np.int64)

    def take_chunks(self, size: int) -> Iterator[Pfns]:
        """Take every page from first to last, ``size`` at once."""
        while self._count:
            yield self.pop_run(min(size, self._count))

    def pfns(self) -> Pfns:
        """Every page from first to last, as a copy."""
        return self._buffer[: self._count][::-1].astype(np.int64)

    def _reserve(self, count: int) -> None:
        # in place and by an eighth: a batch may hold millions, and a copy beside them would be felt
        size = max(_FIRST_CAPACITY, self._buffer.size + self._buffer.size // 8, self._count + count)
        self._buffer.resize(size, refcheck=False)
