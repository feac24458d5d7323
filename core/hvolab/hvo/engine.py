# SPDX-License-Identifier: GPL-2.0-only
"""The engine: optimizes and restores folios, one or in batch. Kernel: mm/hugetlb_vmemmap.c, v6.12."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.remap import VmemmapRemap
from hvolab.hvo.runs import FolioRuns, Folios
from hvolab.hvo.sizes import HasOrder, VmemmapSizes
from hvolab.hvo.walk import ENOMEM, REMAP_NO_TLB_FLUSH, SYNCHRONIZE_RCU
from hvolab.machine.cpus.bulk import change_bits
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.machine import Machine
from hvolab.machine.struct_pages import lists
from hvolab.release import DEFAULT, KernelRelease
from hvolab.release.struct_page import FolioField, WordPlace
from hvolab.trace import Batch, Event, FolioStep, Warned


class Hvo:
    """HVO on one CPU of a machine. A folio is the VA of its head struct page, as in the kernel.

    machine  the machine
    cpu      the CPU that executes everything (default: the first)
    release  the kernel release whose code it follows; ``None``: the machine's
    """

    def __init__(self, machine: Machine, cpu: Cpu | None = None, release: KernelRelease | None = None) -> None:
        self.machine = machine
        self.cpu = machine.cpus[0] if cpu is None else cpu
        self.release = machine.target.release if release is None else release
        self.variant = variant = self.release.variant
        self.remap = VmemmapRemap(machine, self.cpu, variant)
        # runs have the effect of the code of v6.12, step by step
        self._runs = FolioRuns(machine, self.cpu, stepwise=self.remap.stepwise or variant != DEFAULT.variant)
        layout = machine.struct_pages.layout
        self._layout = layout
        self._private = layout.private
        self._rcu = SYNCHRONIZE_RCU if variant.waits_for_rcu else 0
        self._optimized = 1 << layout.hpg_vmemmap_optimized
        fields = (layout.hugetlb_mark, FolioField(0, layout.refcount, 4))
        byte_order = machine.target.architecture.byte_order
        self._mark, self._refcount = (field.place(layout.size, byte_order) for field in fields)

    def sizes(self, h: HasOrder) -> VmemmapSizes:
        """Return the sizes of the vmemmap of ``h``'s folios."""
        return VmemmapSizes(h.order, self.machine.target.mode.page_size, self._layout.size)

    def folio_optimized(self, folio: int) -> bool:
        """Return whether a folio is optimized. Kernel: folio_test_hugetlb_vmemmap_optimized()."""
        return bool(self.cpu.load_word(folio + self._private) & self._optimized)

    def should_optimize_folio(self, h: HasOrder, folio: int) -> bool:
        """Return whether a folio can be optimized. Kernel: vmemmap_should_optimize_folio()."""
        variant = self.variant
        if (variant.refuses_optimized and self.folio_optimized(folio)) or not self.machine.optimize_enabled:
            return False
        return self.sizes(h).optimizable and not (variant.looks_first and self.remap.self_hosted(folio))

    # one folio

    def optimize_folio(self, h: HasOrder, folio: int) -> None:
        """Optimize one folio, if that is possible. Kernel: hugetlb_vmemmap_optimize_folio()."""
        pages = self.remap.new_page_list()
        self._optimize(h, folio, pages, self._rcu)
        self.remap.free_page_list(pages)

    def restore_folio(self, h: HasOrder, folio: int) -> int:
        """Restore one folio; return 0 or -ENOMEM. Kernel: hugetlb_vmemmap_restore_folio()."""
        return self._restore(h, folio, self._rcu)

    def split_folio(self, h: HasOrder, folio: int) -> int:
        """Split the PMDs of a folio's vmemmap. Kernel: hugetlb_vmemmap_split_folio()."""
        if not self.should_optimize_folio(h, folio):
            return 0
        return self.remap.split(folio, folio + self.sizes(h).size)

    def _optimize(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        """Optimize a folio; return 0, INCOMPLETE or a negative errno. Kernel: __hugetlb_vmemmap_optimize_folio()."""
        self._guard(folio)
        if not self.should_optimize_folio(h, folio):
            return 0
        self._emit(FolioStep, "optimize.begin", folio)
        result = self._remap(h, folio, pages, flags)
        self._emit(FolioStep, "optimize.end", folio, result)
        return result

    def _remap(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        """Optimize a folio that can be optimized. Kernel: __hugetlb_vmemmap_optimize_folio()."""
        machine, variant = self.machine, self.variant
        tail = None
        if variant.shares_tail_page:
            tail = self.remap.tail_page(folio, h.order)
            if tail is None:
                return -ENOMEM
        self._count_folio(1)
        if flags & SYNCHRONIZE_RCU:
            machine.synchronize_rcu()
        # before the copy: a store to the head after it could reach the old head page through a stale TLB entry
        self._set_optimized(folio, optimized=True)
        result = self.remap.free(folio, folio + self.sizes(h).size, pages, flags, tail)
        if result < 0:  # INCOMPLETE keeps both: some tails still share the head's page
            self._count_folio(-1)
            self._set_optimized(folio, optimized=False)
        return result

    def _restore(self, h: HasOrder, folio: int, flags: int) -> int:
        """Restore a folio; return 0 or a negative errno. Kernel: __hugetlb_vmemmap_restore_folio()."""
        self._guard(folio)
        if not self.folio_optimized(folio):
            return 0
        self._emit(FolioStep, "restore.begin", folio)
        if flags & SYNCHRONIZE_RCU:
            self.machine.synchronize_rcu()
        result = self.remap.alloc(folio, folio + self.sizes(h).size, flags)
        if not result:
            self._set_optimized(folio, optimized=False)
            self._count_folio(-1)
        self._emit(FolioStep, "restore.end", folio, result)
        return result

    # batches

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        """Optimize every folio of a list. Kernel: hugetlb_vmemmap_optimize_folios().

        folio_list  VA of the list head; folios are linked through their ``lru``
        """
        machine = self.machine
        self._emit(Batch, "optimize.begin")
        folios = self._on_list(folio_list)
        for folio in self._runs.to_split(folios, self.sizes(h).size):
            # one split serves all folios below the same table; after a failure the rest can still be split when it
            # is remapped, with memory that the first folios free
            if self.split_folio(h, folio) == -ENOMEM:
                break
        if folios.size or self.variant.flushes_for_none:
            machine.flush_tlb_all()
        pages = self.remap.new_page_list()
        flags = REMAP_NO_TLB_FLUSH | self._rcu

        def at_once(run: Folios) -> int:
            return self._runs.optimize(run, self.sizes(h), pages, synchronize_rcu=bool(flags & SYNCHRONIZE_RCU))

        for run, done in self._runs.cut(folios, at_once):
            if not done:
                self._optimize_or_retry(h, int(run[0]), pages, flags)
            flags &= ~SYNCHRONIZE_RCU
        machine.flush_tlb_all()
        self.remap.free_page_list(pages)
        self._emit(Batch, "optimize.end")

    def _optimize_or_retry(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> None:
        """Optimize a folio of a batch; without memory, free the pages of the folios before it and try once more."""
        result = self._optimize(h, folio, pages, flags)
        if result == -ENOMEM and len(pages):
            self.machine.flush_tlb_all()
            self.remap.free_page_list(pages)
            self._optimize(h, folio, pages, flags & ~SYNCHRONIZE_RCU)

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        """Restore the folios of a list, and move those that are not optimized (any more) to ``non_hvo_folios``.

        Stops at the first that cannot be restored. Returns the number restored, or -ENOMEM.
        Kernel: hugetlb_vmemmap_restore_folios().
        """
        lru = self._layout.lru_next
        flags = REMAP_NO_TLB_FLUSH | self._rcu
        restored = result = 0
        self._emit(Batch, "restore.begin")
        folios = self._on_list(folio_list)

        def at_once(run: Folios) -> int:
            return self._runs.restore(run, self.sizes(h), synchronize_rcu=bool(flags & SYNCHRONIZE_RCU))

        for run, done in self._runs.cut(folios, at_once):
            folio = int(run[0])
            if done or self.folio_optimized(folio):
                result = 0 if done else self._restore(h, folio, flags)
                if result:
                    break
                flags &= ~SYNCHRONIZE_RCU
                restored += run.size
            lists.move_run(self.cpu, run + np.uint64(lru), non_hvo_folios)
        if restored:
            self.machine.flush_tlb_all()
        result = result or restored
        self._emit(Batch, "restore.end", result)
        return result

    # helpers

    def _on_list(self, folio_list: int) -> npt.NDArray[np.uint64]:
        """Return the folios of a list, in order."""
        return lists.walk(self.cpu, folio_list) - np.uint64(self._layout.lru_next)

    def _count_folio(self, delta: int) -> None:
        """Count a folio in the static key, if the variant has one.

        Kernel: static_branch_inc() in include/linux/jump_label.h, static_branch_dec().
        """
        if self.variant.counts_folios:
            self.machine.change_key(delta)

    def _set_optimized(self, folio: int, *, optimized: bool) -> None:
        """Set or clear a folio's flag.

        Kernel: folio_set_hugetlb_vmemmap_optimized(), folio_clear_hugetlb_vmemmap_optimized().
        """
        bits = {"set_bits" if optimized else "clear_bits": self._optimized}
        change_bits(self.cpu, folio + self._private, **bits)

    def _guard(self, folio: int) -> None:
        """Warn of a folio that has no mark of hugetlb or has references, where hugetlb sees to that.

        The CPU loads nothing for it. Kernel: VM_WARN_ON_ONCE_FOLIO(), v6.12; v6.1 has neither.
        """
        if not self.machine.trace.listeners:
            return
        hugetlb = self.release.hugetlb
        if hugetlb.marked_first and self._value(folio, self._mark) != self._layout.hugetlb_set:
            self._emit(Warned, "the folio has no hugetlb type", folio)
        references = self._value(folio, self._refcount)
        if hugetlb.stays_frozen and references:
            self._emit(Warned, f"the folio has {references} references", folio)

    def _value(self, folio: int, place: WordPlace) -> int:
        """Return the value of a field of a folio."""
        pages = self.machine.struct_pages
        page, offset = divmod(place.offset, self._layout.size)
        return place.get(pages.word(pages.pfn(folio) + page, offset))

    def _emit(self, event: Callable[..., Event], *fields: object) -> None:
        if self.machine.trace.listeners:
            self.machine.trace.emit(event(*fields))
