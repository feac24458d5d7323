# SPDX-License-Identifier: GPL-2.0-only
"""Release of a core's kernel by its memory: where tails and heads are mapped, and what a restore left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hvolab.arch import PgprotRole
from hvolab.arithmetic import WORD_BYTES
from hvolab.release.faults import RESTORED_AS_HEADS
from hvolab_vmcore.core.releases import ReleaseChoice, ReleaseEvidence, choose, noted_evidence, targets_of
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.scan.huge_pages import Sharing
from hvolab_vmcore.scan.scan import Scan, scan

#: Huge pages of one size whose heads are looked at.
_SAMPLE = 256
#: Struct page of a folio to which hugetlb's fields were moved.
#: Kernel: 4eeec8c89a0c ("mm: move hugetlb specific things in folio to page[3]", v6.15).
_MOVED = 3


def open_scan(
    path: str | os.PathLike[str],
    options: SnapshotOptions | None = None,
    parts: Sequence[Path] = (),
    on_step: Callable[[str], None] = lambda _: None,
) -> Scan:
    """Open and scan the core at ``path``, as the release that its memory shows; raises as both functions do.

    parts    the other files of a dump that was split
    on_step  is called with each step before it is done, in a few words
    """
    on_step(f"reading {Path(path).name}")
    snapshot = open_snapshot(path, options, parts)
    on_step("walking the page tables of the vmemmap")
    found = scan(snapshot)
    on_step("checking huge pages")
    return with_choice(found)


def with_choice(found: Scan, *others: Scan) -> Scan:
    """Return the scan with the release that its memory shows; ``others`` are scans of other cores of the boot."""
    if found.snapshot.choice.named:
        return found
    evidence = [one for each in (found, *others) for one in memory_evidence(each)]
    return as_release(found, choice_by(found, evidence))


def choice_by(found: Scan, evidence: list[ReleaseEvidence]) -> ReleaseChoice:
    """Choose the release by VMCOREINFO and by other evidence; equal facts count once."""
    facts = (*noted_evidence(found.snapshot.core.vmcoreinfo), *{one.text: one for one in evidence}.values())
    return choose(targets_of(found.snapshot.select), facts)


def as_release(found: Scan, choice: ReleaseChoice) -> Scan:
    """Return the scan as that of another release."""
    if choice.release is not found.snapshot.target.release:
        return scan(found.snapshot.chosen(choice))
    return found.chosen(choice)


def memory_evidence(found: Scan) -> Iterator[ReleaseEvidence]:
    """Yield the facts in memory."""
    yield from _sharing(found)
    yield from _heads(found)
    yield from _protection(found)
    yield from _fields(found)
    if found.stale_heads.size:
        text = "restored pages of vmemmap are copies of the head's: hugetlb's mark is set where no huge page starts"
        yield ReleaseEvidence(text, lambda target: RESTORED_AS_HEADS in target.release.faults)


def _fields(found: Scan) -> Iterator[ReleaseEvidence]:
    """Yield whether hugetlb has fields in a struct page, as the mapping of most of these shows.

    It does not decide: stable kernels have moved the fields without the change of the restore.
    """
    layout = found.snapshot.struct_pages.layout
    heads = np.concatenate([found.pages.frames[huge.rows[huge.heads.hugetlb][:_SAMPLE]] for huge in found.huge_pages])
    if not heads.size:
        return
    word = (_MOVED * layout.size + layout.mapping) // WORD_BYTES
    tails = found.snapshot.memory.peek_words(heads, word + 1)[:, word] == np.uint64(layout.tail_mapping)
    used = int(tails.sum()) * 2 < heads.size
    yield ReleaseEvidence(
        f"struct page {_MOVED} of a hugetlb folio "
        + ("has other fields than a tail's" if used else "is an ordinary tail"),
        lambda target: (target.struct_page.used_subpages > _MOVED) is used,
        decides=False,
    )


def _sharing(found: Scan) -> Iterator[ReleaseEvidence]:
    """Yield which frame the tails share, as most huge pages have it."""
    heads, tails = (
        sum(int(huge.with_sharing(kind).sum()) for huge in found.huge_pages) for kind in (Sharing.HEAD, Sharing.TAIL)
    )
    if heads > tails:
        yield ReleaseEvidence(
            "tails are mapped to the head's frame", lambda target: not target.release.variant.shares_tail_page
        )
    elif any(huge.with_sharing(Sharing.SECOND).any() for huge in found.huge_pages):
        yield ReleaseEvidence(
            "two pages of vmemmap are kept of an optimized huge page, as kernels before v5.18 do", lambda _: False
        )
    elif tails:
        yield ReleaseEvidence(
            "tails are mapped to a frame that is not the head's", lambda target: target.release.variant.shares_tail_page
        )


def _heads(found: Scan) -> Iterator[ReleaseEvidence]:
    """Yield whether heads keep their frame: it fits those of the pages around them, in a block of boot."""
    kept = moved = 0
    for huge in found.huge_pages:
        for row in huge.rows[huge.optimized][:_SAMPLE].tolist():
            place = _in_block(found, row)
            kept += place is True
            moved += place is False
    if kept > moved:
        yield ReleaseEvidence(
            "heads of optimized huge pages keep their frames", lambda target: target.release.variant.head_gfp is None
        )
    elif moved:
        yield ReleaseEvidence(
            "heads of optimized huge pages are in new frames",
            lambda target: target.release.variant.head_gfp is not None,
        )


def _in_block(found: Scan, row: int) -> bool | None:
    """Return whether a head's frame is in one block with its neighbors; None where no neighbors show a block."""
    pages = found.pages
    per_table = found.snapshot.target.mode.last.entries
    table = pages.numbers[row] // per_table
    first, last = np.searchsorted(pages.numbers, [table * per_table, (table + 1) * per_table])
    near = first + np.flatnonzero((pages.frames[first:last] >= 0) & ~found.optimized_pages[first:last])
    distances, counts = np.unique(pages.frames[near] - pages.numbers[near], return_counts=True)
    blocks = distances[counts > 1]
    return bool((blocks == pages.frames[row] - pages.numbers[row]).any()) if blocks.size else None


def _protection(found: Scan) -> Iterator[ReleaseEvidence]:
    """Yield the protection that most tails are mapped with."""
    target, pages = found.snapshot.target, found.pages
    rows = [(huge.rows[huge.optimized][:, None] + np.arange(1, huge.pages)).ravel() for huge in found.huge_pages]
    raws = pages.raws[np.concatenate(rows)] if rows else pages.raws[:0]
    if not raws.size:
        return
    values, counts = np.unique(raws & ~np.uint64(target.page_form.address_mask), return_counts=True)
    common, last = int(values[counts.argmax()]), target.mode.last.name
    yield ReleaseEvidence(
        f"tails are mapped with protection {common:#x}", lambda other: other.bits(last, PgprotRole.KERNEL_RO) == common
    )
