# SPDX-License-Identifier: GPL-2.0-only
"""Pool of one hstate. Kernel: mm/hugetlb.c, v6.12; other releases by the facts of their HugetlbVariant."""

from __future__ import annotations

import errno
from collections.abc import Callable

from hvolab.errors import UsageError
from hvolab.hugetlb.pool_lists import PoolLists
from hvolab.hugetlb.raw_hwp import clear_hwpoison
from hvolab.machine.struct_pages import lists
from hvolab.release.gfp import GFP_HUGETLB, Gfp
from hvolab.trace import FolioPrepared

_THISNODE, _RETRY, _COMP = int(Gfp.THISNODE), int(Gfp.RETRY_MAYFAIL), int(Gfp.COMP)


class Pool(PoolLists):
    """The folios of one hstate, as one CPU sees them. A folio is the VA of its head struct page.

    Locks are taken where v6.12 takes them: ``hugetlb_lock``, and the hstate's ``resize_lock``.
    """

    def set_max_huge_pages(self, count: int, node: int | None = None) -> None:
        """Grow or shrink the pool, or its part on a node, to ``count`` persistent folios, as far as memory allows.

        Left out: memory policies, and what is refused without runtime support of gigantic folios.
        Kernel: set_max_huge_pages(), v6.12.
        """
        if count < 0:
            raise UsageError(f"a pool of {count} huge pages", hint="request 0 or more")
        if node is not None and not 0 <= node < self.machine.nodes:
            raise UsageError(f"node {node} of {self.machine.nodes}", hint=f"choose 0 to {self.machine.nodes - 1}")
        h = self.h
        with self.resize_lock:
            with self.hugetlb_lock:
                if node is not None:
                    elsewhere = self.variant.persistent_elsewhere
                    count += h.persistent - h.persistent_on(node) if elsewhere else h.nr - h.nr_node[node]
                while h.surplus and count > h.persistent and h.adjust_surplus(-1, node):
                    pass
                missing = count - h.persistent
            if self._grow(count, missing, node):
                self._shrink(count, node)
            else:
                with self.hugetlb_lock:
                    h.max_huge_pages = h.persistent

    def _shrink(self, count: int, node: int | None) -> None:
        """Free folios, and let those in use be surplus, until ``count`` are persistent."""
        h, head = self.h, self.new_list(0)
        with self.hugetlb_lock:
            least = max(count, h.resv + h.in_use(spares_surplus=self.variant.spares_surplus))
            while least < h.persistent and (folio := self.remove_pool_folio(node)) is not None:
                lists.add(self.cpu, folio + self._lru, head)
        self.update_and_free_bulk(head)
        with self.hugetlb_lock:
            while count < h.persistent and h.adjust_surplus(1, node):
                pass
            h.max_huge_pages = h.persistent

    def _grow(self, count: int, missing: int, node: int | None) -> bool:
        """Allocate folios, optimize and add them; return whether all were allocated.

        The number that is missing is read again after each allocation, as folios may be added or freed meanwhile.
        """
        head, allocated, wanted = self.new_list(0), 0, missing
        failed: set[int] = set()
        while allocated < missing and (folio := self._alloc_pool_folio(node, failed)) is not None:
            self.collect(folio, head)
            allocated += 1
            with self.hugetlb_lock:
                missing = count - self.h.persistent + (0 if self.variant.batches else allocated)
        if wanted > 0:  # an empty list too, if the first allocation failed
            self.prep_and_add(head)
        return allocated >= missing

    def collect(self, folio: int, head: int, finish: Callable[[int], None] | None = None) -> None:
        """Put a new folio on a list for :meth:`prep_and_add`; where the release has no batches, call that at once."""
        lists.add(self.cpu, folio + self._lru, head)
        if not self.variant.batches:
            self.prep_and_add(head, finish)

    def prep_and_add(self, head: int, finish: Callable[[int], None] | None = None) -> None:
        """Optimize a list of new folios, then add each.

        finish  called with each folio once it is optimized, or not
        Kernel: prep_and_add_allocated_folios(), prep_and_add_bootmem_folios(), v6.12; prep_new_huge_page(), v6.1.
        """
        if self.variant.batches:
            self.hvo.optimize_folios(self.h, head)
            with self.hugetlb_lock:
                for folio in self.folios(head):
                    self._account(folio, finish)
            return
        for folio in self.folios(head):
            self.hvo.optimize_folio(self.h, folio)
            with self.hugetlb_lock:
                self._account(folio, finish)

    def _account(self, folio: int, finish: Callable[[int], None] | None) -> None:
        """Count a new folio and put it on the free list."""
        if finish is not None:
            finish(folio)
        self._mark_late(folio)
        self.h.count(self.folio.node(folio), nr=1)
        self.enqueue(folio)

    def _alloc_pool_folio(self, only: int | None, failed: set[int]) -> int | None:
        """Allocate a folio from the nodes in turn or from one; without retries on those in ``failed``; update that.

        Kernel: alloc_pool_huge_folio(), node_alloc_noretry of alloc_buddy_hugetlb_folio().
        """
        for node in self.h.nodes_to("alloc", only):
            folio = self._alloc_fresh(node, without=_RETRY if node in failed else 0)
            if folio is not None:
                failed.discard(node)
                return folio
            failed.add(node)
        return None

    def _alloc_fresh(self, node: int, without: int = 0) -> int | None:
        """Allocate a folio with frozen references; ``without`` has flags that are not passed.

        Left out: CMA, and the release of a folio whose tails have references.
        Kernel: only_alloc_fresh_hugetlb_folio(), v6.12.
        """
        h, machine = self.h, self.machine
        gfp = (self.variant.gigantic_gfp if h.gigantic else GFP_HUGETLB) & ~without
        allocate = machine.alloc_contig if h.gigantic else machine.alloc_pages
        pfn = allocate(gfp, h.order, node)
        if pfn is None:
            return None
        folio = machine.struct_pages.va(pfn)
        self.folio.prep_compound(folio, h.order, gigantic=h.gigantic)
        self.folio.set_refcount(folio, 0)
        self.folio.set_private(folio, 0)
        self.adopt(folio)
        return folio

    def adopt(self, folio: int) -> None:
        """Make a compound page with frozen references a hugetlb folio. Kernel: init_new_hugetlb_folio()."""
        self.folio.init_lru(folio)
        if self.variant.marked_first:
            self.folio.init_hugetlb(folio)
        self.live.add(folio)

    def _mark_late(self, folio: int) -> None:
        """Make an optimized folio hugetlb's, where the release does that so late. Kernel: __prep_new_huge_page()."""
        if self.machine.trace.listeners:
            self.machine.trace.emit(FolioPrepared(folio, self.h.order))
        if not self.variant.marked_first:
            self.folio.init_hugetlb(folio)

    def alloc_surplus(self, node: int = 0, *, references: int = 1) -> int | None:
        """Allocate a surplus folio: from ``node``, or from another one if it is full.

        Returns None where memory, the limit nr_overcommit_huge_pages or the release does not allow it. A folio that is
        above the limit once it is made, because others came first, is freed again. Left out: memory policies, cpusets.
        Kernel: alloc_surplus_hugetlb_folio(), v6.12, v7.2; its callers set the ``references``.
        """
        h = self.h
        if h.gigantic and not self.variant.overcommits_gigantic:
            return None
        with self.hugetlb_lock:
            if h.surplus >= h.nr_overcommit_huge_pages:
                return None
        at_once = self.variant.counts_surplus_at_once
        folio = (self.alloc_uncounted if at_once else self.alloc_single)(node, without=_THISNODE)
        if folio is None:
            return None
        with self.hugetlb_lock:
            self.h.count(self.folio.node(folio), nr=at_once)
            exceeds = h.surplus >= h.nr_overcommit_huge_pages
            if exceeds:
                self.folio.set_flag(folio, self._layout.hpg_temporary, value=True)
            else:
                h.count(self.folio.node(folio), surplus=1)
        if exceeds:
            self.free_huge(folio)
            return None
        self.folio.set_refcount(folio, references)
        return folio

    def alloc_temporary(self, node: int = 0) -> int | None:
        """Allocate a folio with one reference that is freed to the allocator, not to the pool; None if it cannot.

        Left out: memory policies, and free folios of the pool, which migration prefers.
        Kernel: alloc_migrate_hugetlb_folio(), v6.12.
        """
        folio = None if self.h.gigantic else self.alloc_single(node, without=_THISNODE)
        if folio is not None:
            self.folio.set_refcount(folio, 1)
            self.folio.set_flag(folio, self._layout.hpg_temporary, value=True)
        return folio

    def alloc_uncounted(self, node: int, without: int = 0) -> int | None:
        """Allocate and optimize one folio with frozen references. Kernel: __prep_new_hugetlb_folio()."""
        folio = self._alloc_fresh(node, without)
        if folio is not None:
            self.hvo.optimize_folio(self.h, folio)
            self._mark_late(folio)
        return folio

    def alloc_single(self, node: int, without: int = 0) -> int | None:
        """Allocate, optimize and count one folio with frozen references. Kernel: alloc_fresh_hugetlb_folio()."""
        folio = self.alloc_uncounted(node, without)
        if folio is not None:
            with self.hugetlb_lock:
                self.h.count(self.folio.node(folio), nr=1)
        return folio

    def dequeue(self, *, reserved: bool = False) -> int | None:
        """Take a free folio that is not poisoned into use, with one reference; None if there is none.

        reserved  it uses up a reservation, which free_huge() restores if HPG_restore_reserve stays; else it takes none
        Left out: reservations of VMAs, memory policies, folios that cannot be pinned for long, hugepage_activelist.
        Kernel: dequeue_hugetlb_folio_vma(), dequeue_hugetlb_folio_node_exact(), v6.12.
        """
        with self.hugetlb_lock:
            if not (self.h.resv if reserved else self.h.available):
                return None
            folio = next((folio for folio in self.free_folios() if not self.folio.poisoned(folio)), None)
            if folio is not None:
                self._take(folio, reserved=reserved)
        return folio

    def _take(self, folio: int, *, reserved: bool) -> None:
        """Take a free folio into use."""
        lists.delete(self.cpu, folio + self._lru)
        self.folio.init_lru(folio)
        self.folio.set_refcount(folio, 1)
        self.folio.set_flag(folio, self._layout.hpg_freed, value=False)
        self.h.count(self.folio.node(folio), free=-1)
        self.h.resv -= reserved
        self.folio.set_flag(folio, self._layout.hpg_restore_reserve, value=reserved)

    def put(self, folio: int) -> None:
        """Drop the last reference of a folio that was in use. Kernel: folio_put(), v6.12."""
        self.folio.set_refcount(folio, 0)
        self.free_huge(folio)

    def free_huge(self, folio: int) -> None:
        """Free a folio without references: to the allocator if it is temporary or its node has surplus.

        Left out: subpools, cgroups, and the work queue that frees optimized folios of atomic contexts.
        Kernel: free_huge_folio(), v6.12.
        """
        layout = self._layout
        with self.hugetlb_lock:
            private = self.folio.private(folio)
            self.h.resv += private >> layout.hpg_restore_reserve & 1
            self.folio.set_private(folio, private & ~(1 << layout.hpg_restore_reserve | 1 << layout.hpg_migratable))
            temporary = private >> layout.hpg_temporary & 1
            self.temporaries += temporary
            freed = temporary or self.h.surplus_node[self.folio.node(folio)]
            if freed:
                self.remove(folio, surplus=not temporary)
            else:
                self.enqueue(folio)
        if freed:
            self.update_and_free(folio)

    def dissolve(self, folio: int) -> int:
        """Free a free folio to the allocator; return 0, -EBUSY or -ENOMEM.

        Of a folio without references that is not on a free list, because it is being added or removed, it returns
        -EBUSY. The kernel waits until the folio is on it; here the caller tries again, as nothing else runs meanwhile.
        Kernel: dissolve_free_hugetlb_folio(), v6.12.
        """
        h = self.h
        if not self.folio.is_hugetlb(folio):
            return 0
        with self.hugetlb_lock:
            if not self.folio.is_hugetlb(folio):
                return 0
            if self.folio.refcount(folio) or not h.available or not self.folio.flag(folio, self._layout.hpg_freed):
                return -errno.EBUSY
            surplus = self.variant.dissolves_surplus and h.surplus_node[self.folio.node(folio)] > 0
            persistent = 0 if surplus else 1
            self.remove(folio, surplus=surplus)
            h.max_huge_pages -= persistent
        if self.folio.is_hugetlb(folio):
            result = self.hvo.restore_folio(h, folio)
            if result:
                with self.hugetlb_lock:
                    self.add(folio, surplus=surplus)
                    h.max_huge_pages += persistent
                return result
        self.update_and_free(folio)
        return 0

    def update_and_free(self, folio: int) -> None:
        """Restore a removed folio and free it; one that cannot be restored becomes a free surplus folio.

        One whose poisoned pages are not known is leaked; of others the poisoned pages get PG_hwpoison.
        Kernel: __update_and_free_hugetlb_folio().
        """
        optimized = self.folio.flag(folio, self._layout.hpg_vmemmap_optimized)
        if self.folio.flag(folio, self._layout.hpg_raw_hwp_unreliable):
            self.live.discard(folio)
            self.leaked.add(folio)
            return
        # a folio that is not optimized has lost its hugetlb type, and only hugetlb folios are restored
        if optimized and self.hvo.restore_folio(self.h, folio):
            with self.hugetlb_lock:
                self.add(folio, surplus=True)
            return
        if self.folio.is_hugetlb(folio):
            with self.hugetlb_lock:
                self.clear_mark(folio)
        if self.folio.poisoned(folio):
            clear_hwpoison(self.folio, folio)
        self.folio.init_deferred_list(folio)
        if self.h.gigantic and not self.variant.gigantic_gfp & _COMP:  # a range of single pages
            self.folio.destroy_compound(folio, self.h.order)
        self.live.discard(folio)
        self.machine.free_pages(self.machine.struct_pages.pfn(folio), self.h.order, self.cpu)

    def restore_list(self, head: int) -> int:
        """Restore the folios of a list, which stay on it; return 0 or more, or -ENOMEM if one was not restored."""
        if not self.variant.batches:
            return min((self.hvo.restore_folio(self.h, folio) for folio in self.folios(head)), default=0)
        restored = self.new_list(1)
        result = self.hvo.restore_folios(self.h, head, restored)
        lists.splice_init(self.cpu, restored, head)
        return result

    def update_and_free_bulk(self, head: int) -> None:
        """Restore and free a list of removed folios. Kernel: update_and_free_pages_bulk()."""
        if not self.variant.batches:
            for folio in self.folios(head):  # they stay on it
                self.update_and_free(folio)
            return
        non_hvo = self.new_list(1)
        while (restored := self.hvo.restore_folios(self.h, head, non_hvo)) < 0:
            self._bulk_restore_error(head, non_hvo)
        if restored:
            with self.hugetlb_lock:
                for folio in self.folios(non_hvo):
                    self.clear_mark(folio)
        for folio in self.folios(non_hvo):
            self.update_and_free(folio)

    def _bulk_restore_error(self, head: int, non_hvo: int) -> None:
        """Make progress after a restore has failed. Kernel: bulk_vmemmap_restore_error()."""
        if not lists.empty(self.cpu, non_hvo):
            for folio in self.folios(non_hvo):
                self._free_restored(folio)
            return
        for folio in self.folios(head):
            if not self.hvo.restore_folio(self.h, folio):
                self._free_restored(folio)
                break
            lists.delete(self.cpu, folio + self._lru)
            with self.hugetlb_lock:
                self.add(folio, surplus=True)

    def _free_restored(self, folio: int) -> None:
        """Remove a folio from the list that it is on, and free it."""
        lists.delete(self.cpu, folio + self._lru)
        with self.hugetlb_lock:
            self.clear_mark(folio)
        self.update_and_free(folio)
