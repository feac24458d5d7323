# SPDX-License-Identifier: GPL-2.0-only
"""Inspection of a scanned vmemmap: entries, heads, tails, and owners of frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from hvolab.arch import Access, PgprotRole
from hvolab.arrays import runs
from hvolab_vmcore.core.memory import Flags, Ints
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.core.walk import Walk
from hvolab_vmcore.scan.finding import LARGEST_LIST, CoreFinding, broken_invariant
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing, read_heads
from hvolab_vmcore.scan.ownership import shared_frames
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages

_Found = TypeVar("_Found", Ints, list[tuple[int, str]])
_WRITE = int(Access.WRITE)
_BIT = "HPG_vmemmap_optimized"
#: A tail maps a wrong frame, by whether the release shares tail pages.
_FOREIGN = {
    False: "a tail maps a frame that is not the head's",
    True: "a tail maps a frame that the other tails of huge pages of its order and zone do not map",
}


class Inspector:
    """Inspector of the vmemmap of one scan.

    writable  one flag for each vmemmap page: its entry and the path to it permit stores, shape (rows,)
    unlisted  number of findings by kind that :meth:`findings` has left out so far, without declared ones
    """

    def __init__(
        self,
        snapshot: CoreSnapshot,
        walk: Walk,
        pages: VmemmapPages,
        huge_pages: tuple[HugePages, ...],
        stale_heads: Ints,
    ) -> None:
        self._snapshot = snapshot
        self._target = snapshot.target
        self._variant = snapshot.target.release.variant
        self._walk = walk
        self._pages = pages
        self._huge_pages = huge_pages
        self._last = len(walk.levels) - 1
        self._stale_heads = stale_heads
        self._protections = pages.raws & ~np.uint64(self._target.page_form.address_mask)
        self.writable = self._writable()
        self.unlisted: Counter[str] = Counter()

    def findings(self) -> Iterator[CoreFinding]:
        """Return all findings, those about page tables first."""
        yield from self._table_findings()
        for huge in self._huge_pages:
            yield from self._head_findings(huge)
            yield from self._tail_findings(huge)
        yield from self._owner_findings()
        yield from self._stale_findings()

    def _writable(self) -> Flags:
        """Compute the permission once for each protection and each kind of path to a table."""
        pages, walk, target = self._pages, self._walk, self._target
        if not pages.numbers.size:
            return np.zeros(0, dtype=np.bool_)
        splits = (np.diff(pages.tables) != 0) | (np.diff(pages.depths) != 0)
        starts, stops = runs(splits | (self._protections[1:] != self._protections[:-1]), pages.numbers.size)
        paths = np.empty(starts.size, dtype=np.int64)
        for depth in np.unique(pages.depths[starts]).tolist():
            mine = pages.depths[starts] == depth
            paths[mine] = walk.path_kinds(depth)[pages.tables[starts[mine]]] * len(walk.levels) + depth
        _, kinds = np.unique(self._protections[starts], return_inverse=True)
        _, first, inverse = np.unique(kinds * (int(paths.max()) + 1) + paths, return_index=True, return_inverse=True)
        rows = starts[first].tolist()
        above = (walk.path(int(pages.depths[row]), int(pages.tables[row])) for row in rows)
        raws = (int(pages.raws[row]) for row in rows)
        allowed = np.array([bool(target.allowed(raw, path) & _WRITE) for raw, path in zip(raws, above, strict=True)])
        result: Flags = np.repeat(allowed[inverse], stops - starts) & (pages.frames >= 0)
        return result

    def _table_findings(self) -> Iterator[CoreFinding]:
        """Return entries that the architecture does not define, and leaves at levels that Linux does not use."""
        for depth, tables in enumerate(self._walk.levels):
            name = tables.level.name
            too_high = tables.leaf if depth < self._last - 1 else np.zeros_like(tables.leaf)
            cases = (
                ("illegal-entry", tables.illegal, f"an entry of the vmemmap is not legal at level {name}"),
                ("large-leaf", too_high, f"the vmemmap is mapped by a leaf at level {name}, which Linux never does"),
            )
            for kind, wrong, text in cases:
                for row, slot in self._listed(kind, np.argwhere(wrong)).tolist():
                    va = self._walk.origin + int(tables.offsets[row]) + (slot << tables.level.shift)
                    entry = self._target.describe(name, int(tables.raws[row, slot]))
                    yield CoreFinding(kind, text, va, 1, entry, None, None)

    def _head_findings(self, huge: HugePages) -> Iterator[CoreFinding]:
        """Check the first vmemmap page of each huge page, and its head struct page."""
        optimized, heads, rows = huge.optimized, huge.heads, huge.rows
        writable, order = self.writable[rows], f"of order {huge.order}, but the head has another order"
        share = "the tail pages share a frame"
        bit_alone = huge.with_sharing(Sharing.NONE) & heads.optimized
        no_bit = optimized & heads.there & ~heads.optimized
        other_order = optimized & heads.there & heads.head & (heads.orders != huge.order)
        other_protection = optimized & writable & ~self._has(rows, PgprotRole.KERNEL)
        for kind, wrong, text in (
            ("bit-without-remap", bit_alone, f"the head has {_BIT} set, but each tail page maps its own frame"),
            ("remap-without-bit", no_bit, f"{share}, but the head has {_BIT} clear"),
            ("wrong-order", other_order, f"{share} as in a folio {order}"),
            ("read-only-head", optimized & ~writable, "the head page is not writable"),
            ("wrong-pgprot", other_protection, "the head page is not mapped with PAGE_KERNEL"),
        ):
            for index in self._listed(kind, np.flatnonzero(wrong)).tolist():
                yield self._finding(kind, text, int(rows[index]), 1, int(huge.pfns[index]))

    def _tail_findings(self, huge: HugePages) -> Iterator[CoreFinding]:
        """Check the tail pages of optimized huge pages."""
        optimized = np.flatnonzero(huge.optimized)
        rows = (huge.rows[optimized][:, None] + np.arange(1, huge.pages)).ravel()
        folios, share = (np.repeat(each[optimized], huge.pages - 1) for each in (huge.pfns, self._to_share(huge)))
        kept = np.repeat(huge.with_sharing(Sharing.SECOND)[optimized], huge.pages - 1)
        checked = ~(kept & (np.arange(rows.size) % (huge.pages - 1) == 0))  # the second page is as the head's
        rows, folios, share = rows[checked], folios[checked], share[checked]
        frames = self._pages.frames[rows]
        foreign = frames != share
        missing = frames < 0
        writable = self.writable[rows]
        ro = self._has(rows, PgprotRole.KERNEL_RO)
        faults = self._target.tails_fault
        text = "a tail is writable"
        cases = (
            ("unmapped-tail", missing, "a tail is not mapped", False),
            ("foreign-frame", foreign & ~missing, _FOREIGN[self._variant.shares_tail_page], False),
            ("writable-tail", writable & ~ro, f"{text}, though not mapped with PAGE_KERNEL_RO", False),
            ("writable-tail", writable & ro, text if faults else f"{text}: PAGE_KERNEL_RO allows it here", not faults),
            ("wrong-pgprot", ~missing & ~writable & ~ro, "a tail is not mapped with PAGE_KERNEL_RO", False),
        )
        for kind, wrong, words, declared in cases:
            found = self._listed(kind, self._runs(rows[wrong], folios[wrong]), declared=declared)
            for row, count, folio in found.tolist():
                yield self._finding(kind, words, row, count, folio, declared=declared)

    def _to_share(self, huge: HugePages) -> Ints:
        """Return the frame that the tails of each huge page have to map, -1 for those that are not optimized.

        It is the head's, or the same for all huge pages of a zone, as the release has it; or that of the second page.
        """
        if not self._variant.shares_tail_page:
            second = np.where(huge.with_sharing(Sharing.SECOND), huge.shared, self._pages.frames[huge.rows])
            return np.where(huge.optimized, second, -1)
        shared = np.where(huge.with_sharing(Sharing.TAIL), huge.shared, -1)
        layout = self._snapshot.struct_pages.layout
        zones = huge.heads.flags >> np.uint64(layout.zone_shift)
        for zone in np.unique(zones[huge.heads.there & (shared >= 0)]):
            mine = (zones == zone) & huge.heads.there & huge.optimized
            values, counts = np.unique(shared[mine & (shared >= 0)], return_counts=True)
            shared[mine] = values[counts.argmax()]
        return shared

    def _owner_findings(self) -> Iterator[CoreFinding]:
        """Return the frames that have two owners."""
        found = shared_frames(self._walk, self._pages, self._huge_pages)
        for row, other in self._listed("two-owners", found):
            frame = int(self._pages.frames[row])
            yield self._finding("two-owners", f"frame {frame:#x} is {other} as well", row, 1, None)

    def _stale_findings(self) -> Iterator[CoreFinding]:
        """Return the struct pages that carry hugetlb's mark where no huge page starts."""
        layout, rows = self._snapshot.struct_pages.layout, self._listed("stale-head", self._stale_heads)
        heads = read_heads(self._snapshot, self._pages.frames[rows])
        for row, head, private in zip(rows.tolist(), heads.head.tolist(), heads.private.tolist(), strict=True):
            pfn = (int(self._pages.numbers[row]) << self._pages.shift) // layout.size
            flag = "PG_head" if head else "no PG_head"
            text = f"a copy of a head where no huge page starts, one of {self._stale_heads.size}"
            what = f"the struct page of PFN {pfn:#x} has hugetlb's mark, {flag}, and HPG flags {private:#x}"
            yield self._finding("stale-head", f"{text}: {what}", row, 1, None)

    def _has(self, rows: Ints, role: PgprotRole) -> Flags:
        """Return one flag for each row: it is mapped at the last level with the protection of ``role``."""
        bits = self._target.bits(self._target.mode.last.name, role)
        result: Flags = (self._protections[rows] == np.uint64(bits)) & (self._pages.depths[rows] == self._last)
        return result

    def _runs(self, rows: Ints, folios: Ints) -> Ints:
        """Return runs of rows of one folio with the same entry: first row, count, PFN of the folio, shape (runs, 3)."""
        raws = self._pages.raws[rows]
        splits = (np.diff(rows) != 1) | (np.diff(folios) != 0) | (raws[1:] != raws[:-1])
        starts, stops = runs(splits, rows.size)
        return np.stack((rows[starts], stops - starts, folios[starts]), axis=1)

    def _listed(self, kind: str, found: _Found, *, declared: bool = False) -> _Found:
        """Return the first of the findings of a kind, and count the others."""
        if not declared:
            self.unlisted[kind] += max(0, len(found) - LARGEST_LIST)
        return found[:LARGEST_LIST]

    def _finding(
        self, kind: str, text: str, row: int, count: int, folio: int | None, *, declared: bool = False
    ) -> CoreFinding:
        pages = self._pages
        level = self._walk.levels[int(pages.depths[row])].level
        frame = int(pages.frames[row])
        entry = self._target.describe(level.name, int(pages.raws[row]))
        pfn = None if frame < 0 else frame
        return CoreFinding(
            kind, text, pages.va(row), count, entry, pfn, folio, declared, *broken_invariant(kind, self._variant)
        )
