# SPDX-License-Identifier: GPL-2.0-only
"""Another CPU whose TLB still has the boot translations while folios are remapped: the frames that its stores reach.

Between the store of an entry and the flush, a CPU may use the old translation. Its stores then reach the frame that is
about to be freed; after the flush none does. Kernel: flush_tlb_all() before free_vmemmap_page_list() in
hugetlb_vmemmap_optimize_folios(), v6.12.
"""

from __future__ import annotations

from hvolab.arch import Fault
from hvolab.arithmetic import WORD_BYTES
from hvolab.machine import Cpu, Machine
from hvolab.trace import AllFlushed, EntriesStored, Event, FolioStep, RangeFlushed
from hvolab_unicorn.verify.probes import Verification, fault_of

_MARK = 0x5354414C45204C44
#: Tails at each end of a folio's vmemmap that are touched: no more than a small TLB holds.
_NEAR = 32
_OLD_FRAME = "it reaches the frame about to be freed"


class StaleCpu:
    """Listener that makes a CPU touch a folio before it is remapped, and store to its tails just after.

    pages  pages of vmemmap of each folio
    freed  (VA, PFN) of each tail that was remapped: the store's VA, and the frame that was mapped before
    """

    def __init__(self, machine: Machine, cpu: Cpu, found: Verification, pages: int) -> None:
        self._machine = machine
        self._cpu = cpu
        self._found = found
        self._pages = pages
        self._mode = machine.target.mode
        self.freed: list[tuple[int, int]] = []
        self._touched: set[int] = set()  # pages whose entries have not changed yet

    def __call__(self, event: Event) -> None:
        """React to one event."""
        if isinstance(event, FolioStep):
            self._touched.clear()
            if event.step == "optimize.begin":
                self._touched.update(self._tails(event.folio))
                self._touch(self._touched)
        elif isinstance(event, RangeFlushed):  # the split of a PMD has emptied the TLB
            self._touch({page for page in self._touched if event.start <= page < event.end})
        elif isinstance(event, AllFlushed):
            for cpu in self._machine.cpus:
                self._found.record("flush_all", "before and after the remap", cpu, "no translation is left")
        elif isinstance(event, EntriesStored) and event.live and event.level == self._mode.last.name:
            cpu = self._machine.cpus[event.cpu]
            self._found.record("write_entry_rows", "that map a folio, the first of them", cpu, _in_words(event))
            frames = (self._machine.target.page_frames(raws).tolist() for raws in (event.before, event.after))
            for number, (old, new) in enumerate(zip(*frames, strict=True)):
                page = event.va + number * self._mode.page_size
                if page in self._touched and old != new:
                    self._touched.remove(page)
                    self._store(page, old, new)

    def _tails(self, folio: int) -> set[int]:
        """Return the tail pages of a folio that are touched."""
        tails = {*range(1, min(self._pages, _NEAR + 1)), *range(max(1, self._pages - _NEAR), self._pages)}
        return {folio + tail * self._mode.page_size for tail in tails}

    def _touch(self, pages: set[int]) -> None:
        """Store their own words to pages, so that the TLB has them as writable ones."""
        for page in pages:
            self._cpu.store_word(page, self._cpu.load_word(page))

    def _store(self, page: int, old: int, new: int) -> None:
        """Store to a page whose entry was just changed from frame `old` to `new`, and undo the store."""
        memory, shift = self._machine.memory, self._mode.page_shift
        va = page + self._machine.struct_pages.layout.size - WORD_BYTES
        offset = va & (self._mode.page_size - 1)
        freed, shared = (frame << shift | offset for frame in (old, new))
        before, head = memory.read_word(freed), memory.read_word(shared)
        self._found.counts.stale_stores += 1
        if fault := self._fault_of_store(va):
            seen = str(fault)
        else:
            reached = memory.read_word(freed) == _MARK and memory.read_word(shared) == head
            seen = _OLD_FRAME if reached else "it reaches another frame"
        self._found.check(seen == _OLD_FRAME, "a stale store before the flush", self._cpu, va, _OLD_FRAME, seen)
        self._found.record("store", "to a tail, before the flush", self._cpu, f"reaches PFN {old:#x}, to be freed")
        memory.write_word(freed, before)
        self.freed.append((va, old))

    def _fault_of_store(self, va: int) -> Fault | None:
        return fault_of(lambda: self._cpu.store_word(va, _MARK))

    def check_flushed(self) -> None:
        """Store to every tail again, and check that no store reaches a freed frame."""
        memory, shift = self._machine.memory, self._mode.page_shift
        for va, frame in self.freed:
            pa = (frame << shift) + (va & (self._mode.page_size - 1))
            before, reached, result = self._cpu.load_word(va), False, "faults"
            if not self._fault_of_store(va):
                result, reached = "reaches the shared frame", memory.read_word(pa) == _MARK
                self._cpu.store_word(va, before)
            what = "a store after the flush"
            self._found.check(not reached, what, self._cpu, va, "the freed frame keeps its word", "it changes")
            self._found.record("store", "to a tail, after the flush", self._cpu, result)


def _in_words(event: EntriesStored) -> str:
    """Return the first and the last of a run of entries."""
    first, last = int(event.after[0]), int(event.after[-1])
    return f"{first:#x}" if event.after.size == 1 else f"{first:#x} … {last:#x}, {event.after.size} entries"
