# SPDX-License-Identifier: GPL-2.0-only
"""Frames with a memory error that can be allocated again: known faults of every release, and an engine's own."""

from __future__ import annotations

import errno

import pytest

from hvolab.hugetlb import Pool, memory_failure, reservations
from hvolab.invariants.rules.poison import POISON
from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom, NeverFail
from hvolab.release.faults import FORGOTTEN, FREED_AS_BLOCK
from tests.machines import MIB, Pools, pools, x86_64

#: Debian's 6.12.117 has a fault that spoils every block that is freed.
_RELEASES = ("6.1", "6.12", "7.2")


def poisoned(release: str, *, recorded: bool) -> tuple[Pools, Pool, int]:
    """A pool of one folio that has a poisoned page, and could not be restored; with the PFN of the page."""
    lab = pools(MachineSpec(memory=64 * MIB), x86_64(release=release))
    pool = lab.pools[0]
    pool.set_max_huge_pages(1)
    (folio,) = pool.live
    lab.frames.failure = FailFrom(1)
    pfn = lab.machine.struct_pages.pfn(folio) + 70
    assert memory_failure(pool, pfn, recorded=recorded) == -errno.EBUSY
    lab.frames.failure = NeverFail()
    assert lab.findings() == []
    return lab, pool, pfn


@pytest.mark.parametrize("release", _RELEASES)
def test_a_shrinking_pool_frees_a_poisoned_page_with_its_folio(release: str) -> None:
    lab, pool, pfn = poisoned(release, recorded=True)
    pool.set_max_huge_pages(0)
    (finding,) = lab.findings()
    assert (finding.invariant, finding.fault) == (POISON, FREED_AS_BLOCK)
    assert finding.where == f"PFN {pfn:#x}, which has PG_hwpoison"
    assert pool.folio.poisoned(lab.machine.struct_pages.va(pfn))


@pytest.mark.parametrize("release", _RELEASES)
def test_a_folio_that_is_put_back_in_the_pool_forgets_that_its_records_are_unreliable(release: str) -> None:
    lab, pool, pfn = poisoned(release, recorded=False)
    pool.set_max_huge_pages(0)
    assert not pool.leaked
    (finding,) = lab.findings()
    assert (finding.invariant, finding.fault) == (POISON, FORGOTTEN)
    assert finding.where == f"PFN {pfn:#x}, which has no PG_hwpoison"


def test_a_folio_of_the_pool_that_lost_the_mark_is_found() -> None:
    lab = pools(MachineSpec(memory=64 * MIB))
    pool = lab.pools[0]
    pool.set_max_huge_pages(1)
    reservations.reserve(pool, 1)
    (folio,) = pool.live
    memory_failure(pool, lab.machine.struct_pages.pfn(folio))
    assert lab.findings() == []
    pool.folio.set_poisoned(folio, value=False)
    (finding,) = lab.findings()
    assert (finding.invariant, finding.what) == (POISON, "a folio with a memory error has no PG_hwpoison")
    assert not finding.fault


def test_a_poisoned_page_that_was_freed_and_is_used_again_is_found() -> None:
    lab, pool, pfn = poisoned("6.12", recorded=False)
    pool.set_max_huge_pages(0)
    pool.set_max_huge_pages(20)
    (finding,) = lab.findings()
    assert (finding.what, finding.fault) == ("a folio with a memory error has no PG_hwpoison", FREED_AS_BLOCK)
    assert finding.where.startswith(f"PFN {pfn:#x}, folio VA 0x")
