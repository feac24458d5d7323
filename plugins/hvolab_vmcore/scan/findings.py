"""What breaks an invariant in a scanned vmemmap: which entries, and of whom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from hvolab.arch import Access, PgprotRole
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.core.walk import Walk
from hvolab_vmcore.scan.finding import LARGEST_LIST, CoreFinding
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.owners import shared_frames
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages

Flags = npt.NDArray[np.bool_]
_WRITE = int(Access.WRITE)


class Inspector:
    """Looks at the huge pages of one scan.

    writable  for each vmemmap page whether a store through its entry would be let through, shape (rows,)
    """

    def __init__(
        self, snapshot: CoreSnapshot, walk: Walk, pages: VmemmapPages, huge_pages: tuple[HugePages, ...]
    ) -> None:
        self._target = snapshot.target
        self._walk = walk
        self._pages = pages
        self._huge_pages = huge_pages
        self._last = len(walk.levels) - 1
        form = self._target.page_form
        self._protections = pages.raws & ~np.uint64(form.address_mask)
        self.writable = self._writable()

    def findings(self) -> Iterator[CoreFinding]:
        """Everything found, the entries of huge pages first."""
        yield from self._of_tables()
        for huge in self._huge_pages:
            yield from self._of_heads(huge)
            yield from self._of_tails(huge)
        yield from self._of_owners()

    def _writable(self) -> Flags:
        """Work out what entries allow once for each protection and table: their paths allow different things."""
        pages, target = self._pages, self._target
        result = np.zeros(pages.numbers.size, dtype=np.bool_)
        mapped = np.flatnonzero(pages.frames >= 0)
        if not mapped.size:
            return result
        _, kinds = np.unique(self._protections[mapped], return_inverse=True)
        tables = pages.tables[mapped] * len(self._walk.levels) + pages.depths[mapped]
        keys = kinds.astype(np.int64) * (int(tables.max()) + 1) + tables
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        rows = mapped[first].tolist()
        paths = (self._walk.path(int(pages.depths[row]), int(pages.tables[row])) for row in rows)
        raws = (int(pages.raws[row]) for row in rows)
        allowed = np.array([bool(target.allowed(raw, path) & _WRITE) for raw, path in zip(raws, paths, strict=True)])
        result[mapped] = allowed[inverse]
        return result

    def _of_tables(self) -> Iterator[CoreFinding]:
        """Entries that the architecture does not define, and leaves that Linux does not use for a vmemmap."""
        for depth, tables in enumerate(self._walk.levels):
            name = tables.level.name
            too_high = tables.leaf if depth < self._last - 1 else np.zeros_like(tables.leaf)
            cases = (
                ("illegal-entry", tables.illegal, f"an entry of the vmemmap is not legal at level {name}"),
                ("large-leaf", too_high, f"the vmemmap is mapped by a leaf at level {name}, which Linux never does"),
            )
            for kind, wrong, text in cases:
                for row, slot in np.argwhere(wrong)[:LARGEST_LIST].tolist():
                    va = self._walk.origin + int(tables.offsets[row]) + (slot << tables.level.shift)
                    entry = self._target.describe(name, int(tables.raws[row, slot]))
                    yield CoreFinding(kind, text, va, 1, entry, None, None)

    def _of_heads(self, huge: HugePages) -> Iterator[CoreFinding]:
        """The first page of each huge page, and what its struct pages say."""
        optimized, heads = huge.optimized, huge.heads
        rows = huge.rows
        cases = (
            (
                "bit-without-remap",
                huge.with_sharing(Sharing.NONE) & heads.optimized,
                "the head says HPG_vmemmap_optimized, but the tails have frames of their own",
            ),
            (
                "remap-without-bit",
                optimized & heads.there & ~heads.optimized,
                "the tails share a frame, but the head does not say HPG_vmemmap_optimized",
            ),
            (
                "wrong-order",
                optimized & heads.there & heads.head & (heads.orders != huge.order),
                f"the tails share a frame as in a folio of order {huge.order}, but the head says another order",
            ),
            ("read-only-head", optimized & ~self.writable[rows], "the head's page cannot be written"),
            (
                "wrong-pgprot",
                optimized & self.writable[rows] & ~self._has(rows, PgprotRole.KERNEL),
                "the head's page is not mapped with PAGE_KERNEL",
            ),
        )
        for kind, wrong, text in cases:
            for index in np.flatnonzero(wrong)[:LARGEST_LIST].tolist():
                yield self._finding(kind, text, int(rows[index]), 1, int(huge.pfns[index]))

    def _of_tails(self, huge: HugePages) -> Iterator[CoreFinding]:
        """The pages behind the first."""
        optimized = np.flatnonzero(huge.optimized)
        rows = (huge.rows[optimized][:, None] + np.arange(1, huge.pages)).ravel()
        folios = np.repeat(huge.pfns[optimized], huge.pages - 1)
        frames = self._pages.frames[rows]
        foreign = frames != np.repeat(huge.shared[optimized], huge.pages - 1)
        missing = frames < 0
        writable = self.writable[rows]
        ro = self._has(rows, PgprotRole.KERNEL_RO)
        faults = self._target.tails_fault
        text = "a tail is writable"
        cases = (
            ("unmapped-tail", missing, "a tail is not mapped", False),
            ("foreign-frame", foreign & ~missing, "a tail maps a frame that the folio's other tails do not map", False),
            ("writable-tail", writable & ~ro, f"{text}, though not mapped with PAGE_KERNEL_RO", False),
            ("writable-tail", writable & ro, text if faults else f"{text}: PAGE_KERNEL_RO allows it here", not faults),
            ("wrong-pgprot", ~missing & ~writable & ~ro, "a tail is not mapped with PAGE_KERNEL_RO", False),
        )
        for kind, wrong, words, declared in cases:
            for row, count, folio in islice(self._runs(rows[wrong], folios[wrong]), LARGEST_LIST):
                yield self._finding(kind, words, row, count, folio, declared=declared)

    def _of_owners(self) -> Iterator[CoreFinding]:
        """Frames that two owners have."""
        found = shared_frames(self._walk, self._pages, self._huge_pages)
        for row, other in found[:LARGEST_LIST]:
            frame = int(self._pages.frames[row])
            yield self._finding("two-owners", f"frame {frame:#x} is {other} as well", row, 1, None)

    def _has(self, rows: npt.NDArray[np.int64], role: PgprotRole) -> Flags:
        """Which rows are mapped at the last level with the protection of ``role``."""
        bits = self._target.bits(self._target.mode.last.name, role)
        result: Flags = (self._protections[rows] == np.uint64(bits)) & (self._pages.depths[rows] == self._last)
        return result

    def _runs(self, rows: npt.NDArray[np.int64], folios: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
        """Consecutive rows of one folio with the same entry, as first row, count and the folio's PFN."""
        if not rows.size:
            return
        raws = self._pages.raws[rows]
        cuts = np.flatnonzero((np.diff(rows) != 1) | (np.diff(folios) != 0) | (raws[1:] != raws[:-1])) + 1
        starts = np.concatenate(([0], cuts))
        counts = np.diff(np.concatenate((starts, [rows.size])))
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
            yield int(rows[start]), count, int(folios[start])

    def _finding(
        self, kind: str, text: str, row: int, count: int, folio: int | None, *, declared: bool = False
    ) -> CoreFinding:
        pages = self._pages
        level = self._walk.levels[int(pages.depths[row])].level
        frame = int(pages.frames[row])
        entry = self._target.describe(level.name, int(pages.raws[row]))
        return CoreFinding(kind, text, pages.va(row), count, entry, None if frame < 0 else frame, folio, declared)
