"""Folios, one and in batch: what hugetlb calls. Kernel: mm/hugetlb_vmemmap.c, v6.12."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.remap import ENOMEM, RemapFlag, VmemmapRemap
from hvolab.hvo.runs import FolioRuns, Folios
from hvolab.hvo.sizes import HasOrder, VmemmapSizes
from hvolab.hvo.variants import V6_12, HvoVariant
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.machine import Machine
from hvolab.machine.struct_pages import lists
from hvolab.trace import Batch, FolioStep, Warned

_SYNCHRONIZE_RCU = int(RemapFlag.SYNCHRONIZE_RCU)
_REMAP_NO_TLB_FLUSH = int(RemapFlag.REMAP_NO_TLB_FLUSH)
_HALF = 32
_HALF_MASK = (1 << _HALF) - 1
_TYPE_SHIFT = 24


class Hvo:
    """HVO on one CPU of a machine. A folio is the VA of its head struct page, as in the kernel.

    machine  the machine
    cpu      the CPU that carries everything out (default: the first)
    variant  which kernel's code is followed where it differs between releases
    """

    def __init__(self, machine: Machine, cpu: Cpu | None = None, variant: HvoVariant = V6_12) -> None:
        self.machine = machine
        self.cpu = machine.cpus[0] if cpu is None else cpu
        self.variant = variant
        self.remap = VmemmapRemap(machine, self.cpu, variant)
        # runs do at once what the code of v6.12 does step by step
        self._runs = FolioRuns(machine, self.cpu, stepwise=self.remap.stepwise or variant is not V6_12)
        layout = machine.struct_pages.layout
        self._layout = layout
        self._private = layout.private
        self._rcu = _SYNCHRONIZE_RCU if variant.waits_for_rcu else 0
        self._optimized = 1 << layout.hpg_vmemmap_optimized
        self._sizes: dict[int, VmemmapSizes] = {}
        self._spans: dict[int, int] = {}

    def sizes(self, h: HasOrder) -> VmemmapSizes:
        """The sizes of the vmemmap of ``h``'s folios."""
        known = self._sizes.get(h.order)
        if known is None:
            page_size = self.machine.target.mode.page_size
            known = self._sizes[h.order] = VmemmapSizes(h.order, page_size, self._layout.size)
            self._spans[h.order] = known.size if known.optimizable else 0
        return known

    def _span(self, h: HasOrder) -> int:
        """Bytes of vmemmap of an optimizable folio, 0 for others."""
        if h.order not in self._spans:
            self.sizes(h)
        return self._spans[h.order]

    def folio_optimized(self, folio: int) -> bool:
        """Kernel: folio_test_hugetlb_vmemmap_optimized()."""
        return bool(self.cpu.load_word(folio + self._private) & self._optimized)

    def should_optimize_folio(self, h: HasOrder, folio: int) -> bool:
        """Kernel: vmemmap_should_optimize_folio()."""
        variant = self.variant
        if (variant.refuses_optimized and self.folio_optimized(folio)) or not self.machine.optimize_enabled:
            return False
        return self._span(h) > 0 and not (variant.looks_first and self.remap.self_hosted(folio))

    # one folio

    def optimize_folio(self, h: HasOrder, folio: int) -> None:
        """Optimize one folio; one that cannot be stays as it is. Kernel: hugetlb_vmemmap_optimize_folio()."""
        pages = self.remap.new_page_list()
        self._optimize(h, folio, pages, self._rcu)
        self.remap.free_page_list(pages)

    def restore_folio(self, h: HasOrder, folio: int) -> int:
        """Give a folio its vmemmap back: 0 or -ENOMEM. Kernel: hugetlb_vmemmap_restore_folio()."""
        return self._restore(h, folio, self._rcu)

    def split_folio(self, h: HasOrder, folio: int) -> int:
        """Split the PMDs of a folio's vmemmap. Kernel: hugetlb_vmemmap_split_folio()."""
        if not self.should_optimize_folio(h, folio):
            return 0
        return self.remap.split(folio, folio + self._span(h))

    def _optimize(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        """Kernel: __hugetlb_vmemmap_optimize_folio()."""
        machine = self.machine
        self._guard(folio)
        if not self.should_optimize_folio(h, folio):
            return 0
        listening = bool(machine.trace.listeners)
        if listening:
            machine.trace.emit(FolioStep("optimize.begin", folio))
        result = self._remap(h, folio, pages, flags)
        if listening:
            machine.trace.emit(FolioStep("optimize.end", folio, result))
        return result

    def _remap(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        """What remains of __hugetlb_vmemmap_optimize_folio() once it is known that the folio is to be optimized."""
        machine, variant = self.machine, self.variant
        tail = None
        if variant.shares_tail_page:
            tail = self.remap.tail_page(folio, h.order)
            if tail is None:
                return -ENOMEM
        self._count_folio(1)
        if flags & _SYNCHRONIZE_RCU:
            machine.synchronize_rcu()
        # before the copy: a store to the head after it could reach the old head page through a stale TLB entry
        self._set_optimized(folio, optimized=True)
        result = self.remap.free(folio, folio + self._span(h), pages, flags, tail)
        if result < 0:  # INCOMPLETE keeps both: some tails still share the head's page
            self._count_folio(-1)
            self._set_optimized(folio, optimized=False)
        return result

    def _restore(self, h: HasOrder, folio: int, flags: int) -> int:
        """Kernel: __hugetlb_vmemmap_restore_folio()."""
        machine = self.machine
        self._guard(folio)
        if not self.folio_optimized(folio):
            return 0
        listening = bool(machine.trace.listeners)
        if listening:
            machine.trace.emit(FolioStep("restore.begin", folio))
        if flags & _SYNCHRONIZE_RCU:
            machine.synchronize_rcu()
        result = self.remap.alloc(folio, folio + self.sizes(h).size, flags)
        if not result:
            self._set_optimized(folio, optimized=False)
            self._count_folio(-1)
        if listening:
            machine.trace.emit(FolioStep("restore.end", folio, result))
        return result

    # batches

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        """Optimize every folio of a list. Kernel: hugetlb_vmemmap_optimize_folios().

        folio_list  VA of the list head; folios are linked through their ``lru``
        """
        machine = self.machine
        self._batch("optimize.begin")
        folios = self._on_list(folio_list)
        for folio in self._runs.to_split(folios, self.sizes(h).size):
            # splitting for one splits for all below the same table; after a failure the rest can still be split
            # when it is remapped, with memory that the first ones free
            if self.split_folio(h, folio) == -ENOMEM:
                break
        if folios.size or self.variant.flushes_for_none:
            machine.flush_tlb_all()
        pages = self.remap.new_page_list()
        flags = _REMAP_NO_TLB_FLUSH | self._rcu

        def at_once(run: Folios) -> int:
            return self._runs.optimize(run, self.sizes(h), pages, synchronize_rcu=bool(flags & _SYNCHRONIZE_RCU))

        for run, done in self._runs.cut(folios, at_once):
            if not done:
                self._optimize_or_retry(h, int(run[0]), pages, flags)
            flags &= ~_SYNCHRONIZE_RCU
        machine.flush_tlb_all()
        self.remap.free_page_list(pages)
        self._batch("optimize.end")

    def _optimize_or_retry(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> None:
        """Optimize a folio of a batch; without memory, free the pages of those before it and try once more."""
        result = self._optimize(h, folio, pages, flags)
        if result == -ENOMEM and len(pages):
            self.machine.flush_tlb_all()
            self.remap.free_page_list(pages)
            self._optimize(h, folio, pages, flags & ~_SYNCHRONIZE_RCU)

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        """Restore the folios of a list; those that are not optimized (any more) move to ``non_hvo_folios``.

        Stops at the first that cannot be restored. Gives the number restored, or -ENOMEM.
        Kernel: hugetlb_vmemmap_restore_folios().
        """
        lru = self._layout.lru_next
        flags = _REMAP_NO_TLB_FLUSH | self._rcu
        restored = result = 0
        self._batch("restore.begin")
        folios = self._on_list(folio_list)

        def at_once(run: Folios) -> int:
            return self._runs.restore(run, self.sizes(h), synchronize_rcu=bool(flags & _SYNCHRONIZE_RCU))

        for run, done in self._runs.cut(folios, at_once):
            folio = int(run[0])
            if done or self.folio_optimized(folio):
                result = 0 if done else self._restore(h, folio, flags)
                if result:
                    break
                flags &= ~_SYNCHRONIZE_RCU
                restored += run.size
            lists.move_run(self.cpu, run + np.uint64(lru), non_hvo_folios)
        if restored:
            self.machine.flush_tlb_all()
        self._batch("restore.end")
        return result or restored

    # helpers

    def _on_list(self, folio_list: int) -> npt.NDArray[np.uint64]:
        """The folios of a list, in order."""
        return lists.walk(self.cpu, folio_list) - np.uint64(self._layout.lru_next)

    def _count_folio(self, delta: int) -> None:
        """Count in the static key, if this form's kernel has one. Kernel: static_branch_inc(), static_branch_dec()."""
        if self.variant.counts_folios:
            self.machine.change_key(delta)

    def _set_optimized(self, folio: int, *, optimized: bool) -> None:
        """Kernel: folio_set_hugetlb_vmemmap_optimized(), folio_clear_hugetlb_vmemmap_optimized()."""
        va = folio + self._private
        private = self.cpu.load_word(va)
        self.cpu.store_word(va, private | self._optimized if optimized else private & ~self._optimized)

    def _guard(self, folio: int) -> None:
        """Report a folio that is no hugetlb folio or has references. Kernel: VM_WARN_ON_ONCE_FOLIO()."""
        if not self.machine.trace.listeners:
            return  # nobody to warn
        layout = self._layout
        word = self.cpu.load_word(folio + layout.page_type)
        if self.machine.target.architecture.byte_order == "little":
            page_type, refcount = word & _HALF_MASK, word >> _HALF
        else:
            page_type, refcount = word >> _HALF, word & _HALF_MASK
        if page_type >> _TYPE_SHIFT != layout.page_type_hugetlb:
            self.machine.trace.emit(Warned("the folio has no hugetlb type", folio))
        if refcount:
            self.machine.trace.emit(Warned(f"the folio has {refcount} references", folio))

    def _batch(self, step: str) -> None:
        if self.machine.trace.listeners:
            self.machine.trace.emit(Batch(step))
