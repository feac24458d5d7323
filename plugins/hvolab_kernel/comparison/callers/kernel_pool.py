# SPDX-License-Identifier: GPL-2.0-only
"""Pool of a kernel's own mm/hugetlb.c on a machine, with the methods of hvolab's pool that run its functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import KernelBug
from hvolab.hugetlb.folio import FolioPages
from hvolab.release.gfp import GFP_HUGETLB, Gfp
from hvolab_kernel.comparison.callers.functions import OVERCOMMIT, PoolFunctions
from hvolab_kernel.comparison.callers.hstate import KernelHstate
from hvolab_kernel.comparison.callers.scenarios import PoolOperation
from hvolab_kernel.running import KernelHvo

#: Kernel: NUMA_NO_NODE in include/linux/nodemask_types.h, v6.12.
NO_NODE: Final = -1
#: Mask that callers pass. Kernel: htlb_alloc_mask() in include/linux/hugetlb.h, v6.12.
_GFP: Final = GFP_HUGETLB & ~int(Gfp.THISNODE | Gfp.RETRY_MAYFAIL)
#: Position of the frame with an error in a folio: its struct page is in a page of vmemmap that HVO frees.
POISONED: Final = 70
_INT_BITS, _LONG_BITS = 32, 64


class KernelPool:
    """Free and used folios of one hstate, managed by a kernel's own code. A folio is the VA of its head struct page.

    hvo        the kernel's HVO, on whose CPU all calls run
    h          the kernel's hstate
    functions  the kernel's functions
    """

    def __init__(self, hvo: KernelHvo, h: KernelHstate, functions: PoolFunctions) -> None:
        self.hvo = hvo
        self.h = h
        self._functions = functions.names
        self._cpu = hvo.kernel_cpu
        self._folio = FolioPages(hvo.machine, hvo.cpu)

    def set_max_huge_pages(self, count: int, node: int = NO_NODE) -> int:
        """Write a number to nr_hugepages; return 0 or a negative errno. Kernel: nr_hugepages_store(), v6.12."""
        return self._write(self._functions[PoolOperation.RESIZE], count, node)

    def demote(self, count: int) -> int:
        """Write a number to demote; return 0 or a negative errno. Kernel: demote_store(), v6.12.

        The page allocator keeps no record of the blocks of folios in use, the machine does: it splits theirs.
        """
        before = list(self.free_folios(0))
        result = self._write(self._functions[PoolOperation.DEMOTE], count, NO_NODE)
        machine = self.hvo.machine
        for folio in set(before).difference(self.free_folios(0)):
            machine.frames.split(machine.struct_pages.pfn(folio), self.h.order, self.h.demote_order)
        return result

    def free_folios(self, node: int) -> Iterator[int]:
        """Yield the folios of a node's free list, in order. Raises KernelBug for a list that does not end."""
        head, lru = self.h.freelists[node], self.hvo.machine.struct_pages.layout.lru_next
        link = self.load(head)
        for _ in range(self.hvo.machine.memory.frames):
            if link == head:
                return
            yield link - lru
            link = self.load(link)
        raise KernelBug(f"the free list at VA {head:#x} does not end")

    def set_overcommit(self, count: int) -> int:
        """Write a number to nr_overcommit_hugepages. Kernel: nr_overcommit_hugepages_store(), v6.12."""
        return self._write(OVERCOMMIT, count, NO_NODE)

    def alloc_surplus(self, node: int = 0) -> int | None:
        """Allocate a surplus folio with one reference, which its caller takes.

        Kernel: alloc_surplus_hugetlb_folio(), alloc_hugetlb_folio(), v6.12; alloc_surplus_huge_page(), v6.1, whose last
        argument says that no reference is wanted.
        """
        folio = self._call(self._functions[PoolOperation.ALLOC_SURPLUS], self.h.va, _GFP, node, 0, 0)
        if folio:
            self._folio.set_refcount(folio, 1)
        return folio or None

    def dequeue(self, node: int = 0) -> int | None:
        """Take a free folio into use, with one reference. Kernel: dequeue_hugetlb_folio_nodemask(), v6.12."""
        folio = self._call(self._functions[PoolOperation.DEQUEUE], self.h.va, _GFP, node, 0)
        return folio or None

    def reserve(self, count: int) -> int:
        """Reserve folios; return 0 or a negative errno. Kernel: hugetlb_acct_memory(), v6.12."""
        return _signed(self._call(self._functions[PoolOperation.RESERVE], self.h.va, count), _INT_BITS)

    def unreserve(self, count: int) -> None:
        """Release reservations. Kernel: hugetlb_acct_memory() with a negative number, v6.12."""
        if count:
            self._call(self._functions[PoolOperation.UNRESERVE], self.h.va, -count)

    def dequeue_reserved(self) -> int | None:
        """Take a reserved folio into use, with one reference. Kernel: alloc_hugetlb_folio_reserve(), v6.12."""
        folio = self._call(self._functions[PoolOperation.DEQUEUE_RESERVED], self.h.va, 0, 0, _GFP)
        return folio or None

    def alloc_for_migration(self) -> int | None:
        """Take a free folio into use, or allocate a temporary one. Kernel: alloc_hugetlb_folio_nodemask(), v6.12."""
        folio = self._call(self._functions[PoolOperation.ALLOC_TEMPORARY], self.h.va, 0, 0, _GFP, 1)
        return folio or None

    def poison(self, folio: int, *, recorded: bool) -> int:
        """Report an uncorrected memory error in a folio; return 0 or a negative errno. Kernel: memory_failure(), v6.12.

        recorded  whether memory for the record of the page can be allocated
        """
        machine = self.hvo.machine
        pfn = machine.struct_pages.pfn(folio) + POISONED
        machine.poisoned.add(pfn)
        self._cpu.fail_atomic(fails=not recorded)
        try:
            return _signed(self._call(self._functions[PoolOperation.POISON], pfn, 0), _INT_BITS)
        finally:
            self._cpu.fail_atomic(fails=False)

    def put(self, folio: int) -> None:
        """Free a folio that was in use. Kernel: free_huge_folio(), v6.12."""
        self._folio.set_refcount(folio, 0)
        self._call(self._functions[PoolOperation.PUT], folio)

    def dissolve(self, folio: int) -> int:
        """Free a free folio to the allocator; return 0 or a negative errno. Kernel: dissolve_free_hugetlb_folio()."""
        return _signed(self._call(self._functions[PoolOperation.DISSOLVE], folio), _INT_BITS)

    def load(self, va: int) -> int:
        """Return a word of the kernel's memory or of the machine's."""
        loaded = self._cpu.loaded
        return loaded.read(va, WORD_BYTES) if loaded.holds(va) else self.hvo.cpu.load_word(va)

    def _write(self, function: str, count: int, node: int) -> int:
        """Write a number to a file of the hstate in sysfs, or of the hstate on a node."""
        text = f"{count}\n".encode()
        loaded = self._cpu.loaded
        loaded.write(self.h.text, len(text) + 1, int.from_bytes(text, "little"))
        result = _signed(self._call(function, self.h.kobj(node), 0, self.h.text, len(text)), _LONG_BITS)
        return min(result, 0) if result != len(text) else 0

    def _call(self, function: str, *arguments: int) -> int:
        """Call a function of the kernel, then run the work that it queued; return its result.

        Raises KernelBug if a call does not return.
        """
        result = self._cpu.call(function, *(argument % (1 << _LONG_BITS) for argument in arguments)).required()
        self.hvo.last = result
        self.hvo.end_operations()
        for work in self._cpu.run_queued():
            work.required()
            self.hvo.end_operations()
        return result.result


def _signed(value: int, bits: int) -> int:
    """Return the low `bits` of a register as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
