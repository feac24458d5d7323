# SPDX-License-Identifier: GPL-2.0-only
"""List of vmemmap pages that are being freed or allocated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Pfns = npt.NDArray[np.int64]


class VmemmapPageAllocator:
    """PFNs in the order of the kernel's list: the last page added is the first of the list.

    Kernel: the ``vmemmap_pages`` list of struct vmemmap_remap_walk, linked through the pages' ``lru`` words. Here it is
    not in the machine's memory, and those words do not change. A batch's list holds millions of pages, nearly all of
    them neighbors, so consecutive ascending PFNs are stored as a range.

    first_in_first_out  the last page added is the last of the list, by list_add_tail(), as in v6.1
    """

    def __init__(self, *, first_in_first_out: bool = False) -> None:
        self._at_end = first_in_first_out
        self._pieces: list[range | Pfns] = []  # the last element of the last piece is the first of the list
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, pfn: int) -> None:
        """Add one page. Kernel: list_add()."""
        self._count += 1
        pieces = self._pieces
        last = pieces[-1] if pieces and not self._at_end else None
        if isinstance(last, range) and last.stop == pfn:
            pieces[-1] = range(last.start, pfn + 1)
        else:
            pieces.insert(0 if self._at_end else len(pieces), range(pfn, pfn + 1))

    def add_run(self, pfns: Pfns) -> None:
        """Add pages one after the other."""
        if pfns.size < 2:  # single steps add each page by itself
            for pfn in pfns.tolist():
                self.add(pfn)
            return
        self._count += pfns.size
        first, stop, pieces = int(pfns[0]), int(pfns[-1]) + 1, self._pieces
        if self._at_end:
            pieces.insert(0, pfns[::-1].astype(np.int64))
        elif stop - first > pfns.size or not (pfns[1:] > pfns[:-1]).all():
            pieces.append(pfns.astype(np.int64))
        elif pieces and isinstance(pieces[-1], range) and pieces[-1].stop == first:
            pieces[-1] = range(pieces[-1].start, stop)
        else:
            pieces.append(range(first, stop))

    def pop(self) -> int:
        """Remove and return the first page. Kernel: list_first_entry() and list_del()."""
        piece = self._pieces.pop()
        if len(piece) > 1:
            self._pieces.append(piece[:-1])
        self._count -= 1
        return int(piece[-1])

    def pop_run(self, count: int) -> Pfns:
        """Remove and return the first ``count`` pages, in order."""
        taken = []
        self._count -= count
        while count:
            piece = self._pieces.pop()
            kept = max(0, len(piece) - count)
            if kept:
                self._pieces.append(piece[:kept])
            part = piece[kept:]
            count -= len(part)
            taken.append((np.arange(part.start, part.stop) if isinstance(part, range) else part)[::-1])
        if len(taken) == 1:
            return taken[0]
        return np.concatenate(taken) if taken else np.empty(0, dtype=np.int64)

    def take_chunks(self, size: int) -> Iterator[Pfns]:
        """Remove every page from first to last, and yield ``size`` at once."""
        while self._count:
            yield self.pop_run(min(size, self._count))
