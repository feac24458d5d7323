# SPDX-License-Identifier: GPL-2.0-only
"""Memory errors in free folios, in folios in use, and in folios whose vmemmap cannot be restored."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from hvolab.errors import UsageError
from hvolab.hugetlb import EHWPOISON, Pool, memory_failure, reservations
from hvolab.hugetlb.memory_failure import get_huge_page_for_hwpoison
from hvolab.hugetlb.raw_hwp import raw_hwp_pages
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom, NeverFail
from hvolab.machine.frames.source import Owner
from hvolab.plugin import registry
from tests.machines import GIB, MIB, Pools, pools, x86_64

_SMALL = MachineSpec(memory=128 * MIB)


def filled(count: int = 2, release: str = "6.12") -> tuple[Pools, Pool, int]:
    """A pool, and the PFN of the first free folio."""
    lab = pools(_SMALL, x86_64(release=release))
    pool = lab.pools[0]
    pool.set_max_huge_pages(count)
    return lab, pool, lab.machine.struct_pages.pfn(next(pool.free_folios()))


def taken_off(lab: Pools, pfn: int) -> bool:
    """Whether a frame was removed from the free lists, with the struct page that memory_failure() leaves."""
    layout, pages = lab.machine.struct_pages.layout, lab.machine.struct_pages
    folio = lab.pools[0].folio
    marked = folio.poisoned(pages.va(pfn)) and pages.word(pfn, layout.private) == 0x48575053
    return marked and folio.refcount(pages.va(pfn)) == 1 and owner(lab, pfn) == Owner.ALLOCATED


def owner(lab: Pools, pfn: int) -> int:
    return int(lab.frames.owner(np.array([pfn], dtype=np.int64))[0])


@pytest.mark.parametrize("architecture", ["x86_64", "arm64", "riscv"])
@pytest.mark.parametrize("number", [0, 1, 100, 511])
def test_a_free_folio_is_dissolved_and_only_the_poisoned_frame_is_lost(architecture: str, number: int) -> None:
    lab = pools(_SMALL, registry().architecture(architecture).select())
    pool = next(pool for pool in lab.pools if pool.h.size == 2 * MIB)
    before = lab.frames.free_frames
    pool.set_max_huge_pages(2)
    pfn = lab.machine.struct_pages.pfn(next(pool.free_folios()))
    assert memory_failure(pool, pfn + number) == 0
    assert (pool.h.nr, pool.h.free, pool.h.max_huge_pages, lab.machine.key) == (1, 1, 1, 1)
    assert owner(lab, pfn + number) == Owner.ALLOCATED
    assert lab.findings() == []
    pool.set_max_huge_pages(0)
    tables = 1  # the PMD stays split
    assert before - lab.frames.free_frames == tables + 1
    assert lab.findings() == []


@pytest.mark.parametrize("release", ["6.1", "6.12", "7.2"])
def test_the_frame_has_the_struct_page_of_one_taken_off_the_free_lists(release: str) -> None:
    lab, pool, pfn = filled(release=release)
    assert memory_failure(pool, pfn + 70) == 0
    assert taken_off(lab, pfn + 70)
    healthy = [pfn + number for number in range(512) if number != 70]
    assert not any(pool.folio.poisoned(lab.machine.struct_pages.va(frame)) for frame in healthy)
    assert set(lab.frames.owner(np.array(healthy, dtype=np.int64)).tolist()) == {int(Owner.FREE)}
    assert lab.findings() == []


def test_a_mapped_folio_is_unmapped_freed_and_dissolved() -> None:
    lab, pool, _ = filled()
    reservations.reserve(pool, 1)
    folio = reservations.fault(pool)
    assert folio is not None
    pfn = lab.machine.struct_pages.pfn(folio)
    assert memory_failure(pool, pfn + 3) == 0
    assert (pool.h.nr, pool.h.free) == (1, 1)
    assert taken_off(lab, pfn + 3)
    assert lab.findings() == []


def test_a_mapped_surplus_folio_leaves_the_pool_when_it_is_freed() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    reservations.reserve(pool, 1)
    folio = reservations.fault(pool)
    assert folio is not None
    pfn = lab.machine.struct_pages.pfn(folio)
    assert memory_failure(pool, pfn + 3) == 0
    assert (pool.h.nr, pool.h.surplus) == (0, 0)
    assert taken_off(lab, pfn + 3)
    assert lab.findings() == []


def test_a_folio_in_use_that_is_not_mapped_yet_is_only_marked() -> None:
    lab, pool, _ = filled(1)
    folio = pool.dequeue()
    assert folio is not None
    pfn = lab.machine.struct_pages.pfn(folio)
    assert memory_failure(pool, pfn + 1) == -errno.EBUSY
    assert pool.folio.poisoned(folio)
    assert lab.findings() == []
    pool.put(folio)
    assert pool.dequeue() is None  # it is free, and never used again
    assert memory_failure(pool, pfn + 1) == -EHWPOISON
    assert memory_failure(pool, pfn + 2) == -EHWPOISON
    assert len(raw_hwp_pages(pool.folio, folio)) == 2
    assert lab.findings() == []


def test_a_folio_that_cannot_be_restored_stays_in_the_pool_and_is_not_used() -> None:
    lab, pool, pfn = filled()
    lab.frames.failure = FailFrom(1)
    assert memory_failure(pool, pfn + 70) == -errno.EBUSY
    lab.frames.failure = NeverFail()
    assert (pool.h.nr, pool.h.free, pool.h.max_huge_pages) == (2, 2, 2)
    folio = lab.machine.struct_pages.va(pfn)
    assert pool.dequeue() != folio
    assert pool.dequeue() is None
    assert lab.findings() == []


def test_a_reserved_folio_is_marked_and_stays() -> None:
    lab, pool, pfn = filled(1)
    reservations.reserve(pool, 1)
    assert memory_failure(pool, pfn + 70) == -errno.EBUSY
    assert reservations.fault(pool) is None  # the reservation is not kept
    assert lab.findings() == []


@pytest.mark.parametrize("in_batch", [False, True])
def test_a_folio_whose_poisoned_pages_are_not_known_is_leaked(in_batch: bool) -> None:  # noqa: FBT001
    lab, pool, pfn = filled(1)
    if in_batch:
        reservations.reserve(pool, 1)
    assert memory_failure(pool, pfn + 70, recorded=False) == -errno.EBUSY
    if in_batch:
        reservations.unreserve(pool, 1)
        pool.set_max_huge_pages(0)
    assert (pool.h.nr, pool.live, len(pool.leaked)) == (0, set(), 1)
    assert owner(lab, pfn + 70) == Owner.ALLOCATED
    assert lab.findings() == []


@pytest.mark.slow
def test_gigantic_folios_lose_one_frame_each() -> None:
    lab = pools(MachineSpec(memory=3 * GIB, deferred_struct_pages=True))
    pool = lab.pools[1]
    pool.set_max_huge_pages(1)
    (folio,) = pool.live
    pfn = lab.machine.struct_pages.pfn(folio)
    assert memory_failure(pool, pfn + 200_000) == 0
    assert taken_off(lab, pfn + 200_000)
    assert pool.h.nr == 0
    assert lab.findings() == []


def test_a_frame_in_no_folio_is_refused() -> None:
    lab, pool, _ = filled()
    with pytest.raises(UsageError, match="in no folio of order 9"):
        memory_failure(pool, lab.machine.memory.first_pfn)


@pytest.mark.parametrize(("release", "marked"), [("6.1", True), ("6.12", False), ("7.2", False)])
def test_a_folio_that_is_leaked_loses_its_mark_where_a_list_was_restored(release: str, marked: bool) -> None:  # noqa: FBT001
    # by the code of Debian's kernels of these releases
    lab, pool, pfn = filled(1, release)
    folio = pool.dequeue()
    assert folio is not None
    assert memory_failure(pool, pfn, recorded=False) == -errno.EBUSY
    pool.put(folio)
    pool.set_max_huge_pages(0)
    assert pool.leaked == {folio}
    assert pool.folio.is_hugetlb(folio) is marked
    assert lab.findings() == []


def test_a_poisoned_frame_in_a_block_that_is_lost_is_counted_once() -> None:
    lab, pool, pfn = filled(2, "6.12.117")
    assert memory_failure(pool, pfn + 70) == -errno.EBUSY
    assert lab.machine.lost_frames == 512
    assert "ownership" not in {finding.rule for finding in lab.findings()}


def test_a_caller_that_tries_again_finds_a_busy_folio_as_it_was() -> None:
    _, pool, pfn = filled(2)
    pages = pool.machine.struct_pages
    used = pool.dequeue()
    assert used is not None
    assert get_huge_page_for_hwpoison(pool, used, used, None, retries=True) == -errno.EBUSY
    assert not pool.folio.poisoned(used)
    free = next(pool.free_folios())
    assert get_huge_page_for_hwpoison(pool, free, free, None, retries=True) == 1
    assert pool.folio.poisoned(free)
    assert get_huge_page_for_hwpoison(pool, used, used, None) == -errno.EBUSY
    assert pool.folio.poisoned(used)
    assert pfn in {pages.pfn(used), pages.pfn(free)}
