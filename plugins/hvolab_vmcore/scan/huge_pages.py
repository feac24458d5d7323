"""Finds the huge pages in a vmemmap: those whose vmemmap pages share a frame, and other hugetlb folios."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab.hvo import VmemmapSizes
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.scan.head_pages import HeadPages, read_heads
from hvolab_vmcore.scan.vmemmap_pages import VmemmapPages

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Sharing(enum.Enum):
    """What the vmemmap of a folio looks like."""

    NONE = "not optimized"  #: every page has a frame of its own
    HEAD = "head"  #: the tails map the head's frame: v6.12
    TAIL = "tail"  #: the tails map one frame that is not the head's: since v7
    DAX = "device dax"  #: likewise, but of a device's memory: no hugetlb folio


@dataclass(frozen=True, eq=False)
class HugePages:
    """Huge pages of one order, in order of PFN; n rows.

    order    log2 of their base pages
    pages    vmemmap pages of each
    rows     row of each one's first page among the vmemmap pages, shape (n,); the others follow it
    pfns     PFN of each one's head, shape (n,)
    shared   the frame that the tails share, -1 where they share none, shape (n,)
    sharing  how, index into the members of Sharing, shape (n,)
    heads    what their first struct pages say
    """

    order: int
    pages: int
    rows: Ints
    pfns: Ints
    shared: Ints
    sharing: Ints
    heads: HeadPages

    def with_sharing(self, *kinds: Sharing) -> Flags:
        """Which of them share in one of these ways."""
        return np.isin(self.sharing, [_CODES[kind] for kind in kinds])

    @property
    def optimized(self) -> Flags:
        """Which of them HVO has optimized."""
        return self.with_sharing(Sharing.HEAD, Sharing.TAIL)

    @property
    def frames_saved(self) -> int:
        """Frames that those optimized do without."""
        shared_by_many = np.unique(self.shared[self.with_sharing(Sharing.TAIL)])
        return int(self.optimized.sum()) * (self.pages - 1) - int(shared_by_many.size)


_MEMBERS = tuple(Sharing)
_CODES = {kind: code for code, kind in enumerate(_MEMBERS)}


def sharing_of(code: int) -> Sharing:
    """The member that a code in ``HugePages.sharing`` stands for."""
    return _MEMBERS[code]


def find_huge_pages(snapshot: CoreSnapshot, pages: VmemmapPages) -> tuple[HugePages, ...]:
    """The huge pages of every size that HVO can optimize, the largest size first.

    Of a size are the aligned blocks most of whose tails map one frame, those between the parts that a smaller size
    would have included: so a few wrong entries do not hide a huge page. Of the rest, those whose head says so.
    """
    mode, layout = snapshot.target.mode, snapshot.struct_pages.layout
    orders = [page.size.bit_length() - 1 - mode.page_shift for page in mode.huge_pages]
    sizes = [VmemmapSizes(order, mode.page_size, layout.size) for order in sorted(orders)]
    sizes = [size for size in sizes if size.optimizable]
    free = np.ones(pages.numbers.size, dtype=np.bool_)
    found = []
    for index in reversed(range(len(sizes))):
        size, smaller = sizes[index], sizes[index - 1].pages if index else 1
        rows = _blocks(pages, size.pages, free)
        frames = pages.frames[rows[:, None] + np.arange(size.pages)]
        heads = read_heads(snapshot, pages.frames[rows])
        shared, sharing = _shared(frames, smaller, heads)
        keep = (sharing != _CODES[Sharing.NONE]) | (heads.hugetlb & (heads.orders == size.order))
        rows = rows[keep]
        free[(rows[:, None] + np.arange(size.pages)).ravel()] = False
        pfns = (pages.numbers[rows] << mode.page_shift) // layout.size
        kept = HeadPages(
            *(column[keep] for column in (heads.there, heads.head, heads.hugetlb, heads.optimized, heads.orders))
        )
        found.append(HugePages(size.order, size.pages, rows, pfns, shared[keep], sharing[keep], kept))
    return tuple(found)


def _blocks(pages: VmemmapPages, count: int, free: Flags) -> Ints:
    """Rows at which ``count`` pages start that are aligned, all there, and not yet taken."""
    starts: Ints = np.flatnonzero(pages.numbers % count == 0)
    starts = starts[starts + count <= pages.numbers.size]
    whole = pages.numbers[starts + count - 1] - pages.numbers[starts] == count - 1
    starts = starts[whole]
    return starts[free[starts]]  # a block that is taken is taken whole: larger sizes are aligned to smaller ones


def _shared(frames: Ints, smaller: int, heads: HeadPages) -> tuple[Ints, Ints]:
    """The frame that most tails of each block map, or -1, and how they share it."""
    count = frames.shape[1]
    tails = frames[:, 1:]
    # what more than half of a row are is in the middle of the sorted row
    middle = (count - 1) // 2
    common = np.partition(tails, middle, axis=1)[:, middle]
    between = frames[:, smaller::smaller]
    most = (tails == common[:, None]).sum(axis=1) * 2 > count - 1
    most &= (between == common[:, None]).sum(axis=1) * 2 > between.shape[1]
    most &= common >= 0
    sharing = np.full(common.size, _CODES[Sharing.NONE])
    sharing[most] = _CODES[Sharing.TAIL]
    sharing[most & heads.there & ~heads.hugetlb] = _CODES[Sharing.DAX]
    sharing[most & (common == frames[:, 0])] = _CODES[Sharing.HEAD]
    return np.where(most, common, -1), sharing
