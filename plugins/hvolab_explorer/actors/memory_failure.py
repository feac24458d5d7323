# SPDX-License-Identifier: GPL-2.0-only
"""Memory errors in base pages of folios.

Kernel: memory_failure(), try_memory_failure_hugetlb(), get_huge_page_for_hwpoison(), __page_handle_poison() in
mm/memory-failure.c, v6.12 and v7.2. A folio that is neither free nor mapped is tried twice, then recorded and left:
-EBUSY. A page that is in no hugetlb folio is marked, and taken off the free lists if it is free.
Left out: pages that others use, signals, filters; folio_lock(), under which nothing else is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab.hugetlb.memory_failure import get_huge_page_for_hwpoison, page_handle_poison, take_page_off_buddy
from hvolab.hugetlb.raw_hwp import RECORD_SIZE
from hvolab_explorer.actors.compound import find_head
from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


class _MemoryFailure:
    """memory_failure() on one CPU."""

    def __init__(self, world: World, cpu: int) -> None:
        self._world = world
        self._cpu = cpu
        self._pool = world.pools[cpu]

    def handle(self, page: int) -> None:
        """Handle an error in the frame of a struct page."""
        machine = self._world.machine
        pfn = machine.struct_pages.pfn(page)
        machine.poisoned.add(pfn)
        for retries in (True, False):
            folio, freed = self._get_huge_page(page, retries=retries)
            if folio is None or freed >= 0:
                break
        if folio is None:
            self._pool.folio.set_poisoned(page, value=True)
            take_page_off_buddy(machine, self._pool.cpu, pfn)
        elif freed >= 0:
            if not freed:
                self._pool.put(folio)
            page_handle_poison(self._pool, folio, pfn)

    def _get_huge_page(self, page: int, *, retries: bool) -> tuple[int | None, int]:
        """Record the error; return the folio, or None if it is not a hugetlb folio, and the result."""
        with self._pool.hugetlb_lock:
            folio = find_head(self._world, self._cpu, page)
            if not self._pool.folio.is_hugetlb(folio):
                return None, 0
            return folio, get_huge_page_for_hwpoison(self._pool, folio, page, self._record, retries=retries)

    def _record(self) -> int:
        return self._world.machine.kernel_data(RECORD_SIZE)


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    failure, pages = _MemoryFailure(world, cpu), [place.va(world) for place in places]
    mutex = world.machine.locks.named("mf_mutex")

    def body() -> None:
        for page in pages:
            with mutex:
                failure.handle(page)

    return body


MEMORY_FAILURE = ActorKind("memory-failure", "PAGE...", "memory_failure() of base pages", _make, uses_pool=True)
