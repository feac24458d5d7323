# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages in a vmemmap: those whose vmemmap pages share a frame, and all other hugetlb folios."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from hvolab.arithmetic import WORD_BYTES
from hvolab.hvo import VmemmapSizes
from hvolab.machine import FrameState
from hvolab_vmcore.core.memory import Flags, Ints, Words
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages

#: Pages of vmemmap of a huge page that kernels before v5.18 keep.
_KEPT = 2


class Sharing(enum.IntEnum):
    """Frame that the tail pages of a folio share."""

    NONE = 0  #: every page has its own frame
    HEAD = 1  #: the head's frame
    TAIL = 2  #: a frame of their own, where releases share tail pages
    DAX = 3  #: a frame of their own, in memory of a DAX device; not a hugetlb folio
    UNKNOWN = 4  #: a frame of their own; the head was not saved, so that it may be any of the two above
    SECOND = 5  #: the frame of the second page, which they leave writable, as kernels before v5.18 do

    @property
    def label(self) -> str:
        """Stable name in output."""
        return ("not optimized", "head", "tail", "device dax", "cannot tell", "second page")[self]


@dataclass(frozen=True, eq=False)
class HeadPages:
    """Fields of the first two struct pages of each folio; n rows.

    there      the core holds them; where it does not, the other columns are False or 0
    not_saved  the core does not hold them, because they were not saved
    head       PG_head is set
    hugetlb    PG_head and the mark of hugetlb folios are set
    marked     the mark is set; as ``hugetlb`` where it is not in the head, so that other pages can have it
    optimized  PG_head and HPG_vmemmap_optimized are set; meaningful for hugetlb folios only
    flags      the flags word
    private    the word with the HPG_ flags
    orders     folio order, 0 where PG_head is not set
    """

    there: Flags
    not_saved: Flags
    head: Flags
    hugetlb: Flags
    marked: Flags
    optimized: Flags
    flags: Words
    private: Words
    orders: Ints

    def of(self, some: Flags) -> HeadPages:
        """Return the rows of some of the folios."""
        return HeadPages(*(getattr(self, each.name)[some] for each in fields(self)))

    def joined(self, some: Flags, others: HeadPages) -> HeadPages:
        """Return the rows of more folios: those of this at ``some``, and those of ``others`` elsewhere."""
        columns = {each.name: np.empty(some.size, dtype=getattr(self, each.name).dtype) for each in fields(self)}
        for name, column in columns.items():
            column[some], column[~some] = getattr(self, name), getattr(others, name)
        return HeadPages(**columns)


def read_heads(snapshot: CoreSnapshot, frames: Ints) -> HeadPages:
    """Read the heads in ``frames``; a head is the first struct page of its vmemmap page."""
    memory, layout, byte_order = snapshot.memory, snapshot.struct_pages.layout, snapshot.core.byte_order
    states = memory.states(frames)
    there = states >= FrameState.ZERO
    mark = layout.hugetlb_mark
    place, order = mark.place(layout.size, byte_order), layout.folio_order.low_byte(layout.size, byte_order)
    last = max(layout.flags, layout.private, place.offset, order) // WORD_BYTES  # the last word that is used
    rows = memory.peek(frames, (last + 1) * WORD_BYTES, states)
    words = rows.view(memory.words.dtype)

    def word(offset: int) -> Words:
        return words[:, offset // WORD_BYTES].astype(np.uint64)

    flags, private = word(layout.flags), word(layout.private)
    head = (flags >> np.uint64(layout.pg_head) & np.uint64(1)).astype(np.bool_)
    optimized = (private >> np.uint64(layout.hpg_vmemmap_optimized) & np.uint64(1)).astype(np.bool_)
    # a page type is the highest byte, and the others may count; before v6.11 it is a bit that all bytes lack
    uncounted = 24 if mark.page == 0 and not layout.hugetlb_set & 0xFFFFFF else 0
    value = word(place.offset) >> np.uint64(place.shift) & np.uint64(place.mask)
    marked = there & (value >> np.uint64(uncounted) == np.uint64(layout.hugetlb_set >> uncounted))
    return HeadPages(
        there=there,
        not_saved=states == FrameState.NOT_SAVED,
        head=head,
        hugetlb=marked & head,
        marked=marked if mark.page == 0 else marked & head,
        optimized=optimized & head,
        flags=flags,
        private=private,
        orders=np.where(there & head, rows[:, order], 0).astype(np.int64),
    )


@dataclass(frozen=True, eq=False)
class HugePages:
    """Huge pages of one order, in order of PFN; n rows.

    order    log2 of their base pages
    pages    vmemmap pages of each
    rows     row of each one's first page among the vmemmap pages, shape (n,); the others follow it
    pfns     PFN of each one's head, shape (n,)
    shared   the frame that the tails share, -1 where they share none, shape (n,)
    sharing  Sharing of each, as integers, shape (n,)
    """

    order: int
    pages: int
    rows: Ints
    pfns: Ints
    shared: Ints
    sharing: npt.NDArray[np.int8]
    _snapshot: CoreSnapshot
    _decisive: HeadPages

    @cached_property
    def heads(self) -> HeadPages:
        """Their first struct pages; those that did not decide on the sharing are read by the first use."""
        undecided = self.sharing == Sharing.HEAD
        return read_heads(self._snapshot, self.shared[undecided]).joined(undecided, self._decisive)

    def with_sharing(self, *kinds: Sharing) -> Flags:
        """Return one flag for each: its sharing is one of ``kinds``."""
        chosen = np.zeros(len(Sharing), dtype=np.bool_)
        chosen[list(kinds)] = True
        found: Flags = chosen[self.sharing]
        return found

    @property
    def optimized(self) -> Flags:
        """Flags of those that HVO has optimized."""
        return self.with_sharing(Sharing.HEAD, Sharing.TAIL, Sharing.SECOND)

    @property
    def frames_saved(self) -> int:
        """Frames that HVO freed."""
        return self.frames_saved_by(np.ones(self.rows.size, dtype=np.bool_))

    def frames_saved_by(self, some: Flags) -> int:
        """Return the frames that HVO freed of some of them; a frame that their tails share with others counts whole."""
        shared_by_many = np.unique(self.shared[some & self.with_sharing(Sharing.TAIL, Sharing.SECOND)])
        return int((some & self.optimized).sum()) * (self.pages - 1) - int(shared_by_many.size)


def find_huge_pages(snapshot: CoreSnapshot, pages: VmemmapPages) -> tuple[HugePages, ...]:
    """Return the huge pages of every size that HVO can optimize, the largest size first.

    An aligned block is a huge page if more than half of its tails map one frame, also if only the first tail of each
    block of the next smaller size is counted; a few wrong entries do not hide a huge page. Of the other blocks, those
    are huge pages whose head has that order.
    """
    mode, layout = snapshot.target.mode, snapshot.struct_pages.layout
    orders = sorted(page.size.bit_length() - 1 - mode.page_shift for page in mode.huge_pages)
    all_sizes = (VmemmapSizes(order, mode.page_size, layout.size) for order in orders)
    sizes = [size for size in all_sizes if size.optimizable]
    least = sizes[0].pages if sizes else 1
    # first rows of blocks of the smallest size that are not in a larger huge page; all blocks start at one of them
    free = pages.aligned(least)  # HVO needs struct pages of a power of two
    found = []
    for index in reversed(range(len(sizes))):
        size, smaller = sizes[index], sizes[index - 1].pages if index else 1
        rows = _blocks(pages, size.pages, free)
        frames = _frames(pages, rows, size.pages)
        shared = _shared(frames, smaller)
        sharing = np.full(rows.size, Sharing.HEAD, dtype=np.int8)
        other = np.flatnonzero((shared < 0) | (shared != frames[:, 0]))  # the head decides what these are
        heads = read_heads(snapshot, frames[other, 0])
        sharing[other] = _by_heads(shared[other], heads)
        tails = np.flatnonzero(sharing == Sharing.TAIL)
        sharing[tails[_keeps_second(snapshot, pages, rows[tails], frames[tails])]] = Sharing.SECOND
        kept = (sharing[other] != Sharing.NONE) | (heads.hugetlb & (heads.orders == size.order))
        keep = np.ones(rows.size, dtype=np.bool_)
        keep[other] = kept
        rows = rows[keep]
        if rows.size and index:
            free = np.setdiff1d(free, rows[:, None] + np.arange(0, size.pages, least), assume_unique=True)
        pfns = (pages.numbers_at(rows) << mode.page_shift) // layout.size
        columns = (rows, pfns, shared[keep], sharing[keep])
        found.append(HugePages(size.order, size.pages, *columns, snapshot, heads.of(kept)))
    return tuple(found)


def _blocks(pages: VmemmapPages, count: int, free: Ints) -> Ints:
    """Return the rows at which ``count`` aligned consecutive pages start; they are among the ``free`` ones."""
    numbers = pages.numbers_at(free)
    some = (numbers & count - 1 == 0) & (free + count <= pages.frames.size)
    starts = free[some]
    whole = pages.numbers_at(starts + count - 1) - numbers[some] == count - 1
    found: Ints = starts[whole]
    return found


def _frames(pages: VmemmapPages, rows: Ints, count: int) -> Ints:
    """Return the frames that ``count`` pages from each row on map, shape (n, count); read-only."""
    if not rows.size:
        return np.empty((0, count), dtype=np.int64)  # there may be fewer pages than that
    end = int(rows[0]) + rows.size * count
    if int(rows[-1]) + count == end:  # they follow one another, as rows of blocks ascend
        return pages.frames[rows[0] : end].reshape(-1, count)
    found: Ints = sliding_window_view(pages.frames, count)[rows]
    return found


def _keeps_second(snapshot: CoreSnapshot, pages: VmemmapPages, rows: Ints, frames: Ints) -> Flags:
    """Return one flag for each block: the second page has the frame of the third, and another protection.

    Kernel: RESERVE_VMEMMAP_NR in mm/hugetlb_vmemmap.c, v5.14, is 2; e7d324850bfc ("mm: hugetlb: free the 2nd vmemmap
    page associated with each HugeTLB page", v5.18).
    """
    if not rows.size or frames.shape[1] <= _KEPT:
        return np.zeros(rows.size, dtype=np.bool_)
    protections = pages.raws[rows[:, None] + np.array([1, 2])] & ~np.uint64(snapshot.target.page_form.address_mask)
    found: Flags = (frames[:, 1] == frames[:, 2]) & (protections[:, 0] != protections[:, 1])
    return found


def _shared(frames: Ints, smaller: int) -> Ints:
    """Return the frame that most tails of each block map, -1 where there is none."""
    heads = frames[:, ::smaller]
    common = heads[:, 1].copy()
    most = _most(heads, common)
    rest = np.flatnonzero(~most)
    rest = rest[_have_equal_neighbors(heads[rest, 1:])]
    # a value of more than half of a row is in the middle of the sorted row
    middle = heads.shape[1] // 2 - 1
    common[rest] = np.partition(heads[rest, 1:], middle, axis=1)[:, middle]
    most[rest] = _most(heads[rest], common[rest])
    if smaller > 1:
        some = np.flatnonzero(most)
        most[some] = _most(frames[some], common[some])
    return np.where(most & (common >= 0), common, -1)


def _most(frames: Ints, common: Ints) -> Flags:
    """Return one flag for each row: of its frames without the first, more than half are the common one."""
    equal = np.equal(frames, common[:, None], order="C")
    equal[:, 0] = False
    found: Flags = _counts(equal) * 2 >= frames.shape[1]
    return found


def _have_equal_neighbors(frames: Ints) -> Flags:
    """Return one flag for each row: two neighbors in it are equal, or the first and the last.

    No other row has a value more than half of the time.
    """
    equal = np.empty((frames.shape[0], frames.shape[1] + 1), dtype=np.bool_)
    equal[:, 0] = frames[:, 0] == frames[:, -1]
    equal[:, -1] = False
    np.equal(frames[:, 1:], frames[:, :-1], out=equal[:, 1:-1])
    found: Flags = _counts(equal) > 0
    return found


def _counts(flags: Flags) -> Ints:
    """Return the number of flags set in each row of a power of two; many short rows are slow in np.count_nonzero()."""
    words = flags.view(f"u{min(WORD_BYTES, flags.shape[1])}")
    counts: Ints = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return counts


def _by_heads(shared: Ints, heads: HeadPages) -> Ints:
    """Return the sharing of blocks whose tails do not share the head's frame."""
    sharing = np.where(shared >= 0, Sharing.TAIL, Sharing.NONE)
    sharing[(shared >= 0) & heads.there & ~heads.hugetlb] = Sharing.DAX
    sharing[(shared >= 0) & heads.not_saved] = Sharing.UNKNOWN
    return sharing
