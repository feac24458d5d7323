"""Another CPU that still has the translations of boot while folios are remapped: where its stores land, and until when.

Between the store of an entry and the flush a CPU may use the translation that it had. Its stores then reach the frame
that is about to be freed; after the flush none does. Kernel: flush_tlb_all() before free_vmemmap_page_list() in
hugetlb_vmemmap_optimize_folios(), v6.12.
"""

from __future__ import annotations

from hvolab.arch import PageFault
from hvolab.machine import Cpu, Machine
from hvolab.machine.struct_pages.layout import WORD
from hvolab.trace import AllFlushed, EntriesStored, Event, FolioStep
from hvolab_unicorn.verify.probes import Probes

_MARK = 0x5354414C45204C44
#: Tails at each end of a folio's vmemmap that are touched: no more than a small TLB keeps.
_NEAR = 32
_LANDS = "it lands in the frame about to be freed"


class StaleCpu:
    """A listener that has a CPU touch a folio before it is remapped, and store to its tails as soon as it is.

    pages  pages of vmemmap of each folio
    freed  (VA, PFN) of each tail that was remapped: where the store was made, and the frame that it reached
    """

    def __init__(self, machine: Machine, cpu: Cpu, probes: Probes, pages: int) -> None:
        self._machine = machine
        self._cpu = cpu
        self._probes = probes
        self._pages = pages
        self._mode = machine.target.mode
        self.freed: list[tuple[int, int]] = []
        self._touched: frozenset[int] = frozenset()

    def __call__(self, event: Event) -> None:
        """Hear one event."""
        if isinstance(event, FolioStep):
            self._touched = frozenset()
            if event.step == "optimize.begin":
                self._touch(event.folio)
        elif isinstance(event, AllFlushed):
            for cpu in self._machine.cpus:
                self._probes.tell("flush_all", "before and after the remap", cpu, "every translation is forgotten")
        elif isinstance(event, EntriesStored) and event.live and event.level == self._mode.last.name:
            first = self._machine.cpus[event.cpu]
            self._probes.tell("write_entry_rows", "that map a folio, the first of them", first, _in_words(event))
            frames = (self._machine.target.page_frames(raws).tolist() for raws in (event.before, event.after))
            for number, (old, new) in enumerate(zip(*frames, strict=True)):
                page = event.va + number * self._mode.page_size
                if page in self._touched and old != new:
                    self._store(page, old, new)

    def _touch(self, folio: int) -> None:
        """Store to tails what is there: they are in the TLB then, as pages that may be written to."""
        tails = sorted({*range(1, min(self._pages, _NEAR + 1)), *range(max(1, self._pages - _NEAR), self._pages)})
        self._touched = frozenset(folio + tail * self._mode.page_size for tail in tails)
        for page in self._touched:
            self._cpu.store_word(page, self._cpu.load_word(page))

    def _store(self, page: int, old: int, new: int) -> None:
        """Store to a page whose entry was just replaced by one of another frame, and put back what was there."""
        memory, shift = self._machine.memory, self._mode.page_shift
        va = page + self._machine.struct_pages.layout.size - WORD
        inside = va & (self._mode.page_size - 1)
        freed, shared = (frame << shift | inside for frame in (old, new))
        was, head = memory.read_word(freed), memory.read_word(shared)
        self._probes.counts.stale_stores += 1
        try:
            self._cpu.store_word(va, _MARK)
        except PageFault as fault:
            seen = str(fault.fault)
        else:
            landed = memory.read_word(freed) == _MARK and memory.read_word(shared) == head
            seen = _LANDS if landed else "it lands elsewhere"
        self._probes.note(seen == _LANDS, "a stale store before the flush", self._cpu, va, _LANDS, seen)
        self._probes.tell("store", "to a tail, before the flush", self._cpu, f"lands in PFN {old:#x}, to be freed")
        memory.write_word(freed, was)
        self.freed.append((va, old))

    def check_flushed(self) -> None:
        """Store to every tail again: no store reaches a frame that was freed any more."""
        memory, shift = self._machine.memory, self._mode.page_shift
        for va, frame in self.freed:
            slot = (frame << shift) + (va & (self._mode.page_size - 1))
            before = self._cpu.load_word(va)
            try:
                self._cpu.store_word(va, _MARK)
            except PageFault:
                word, reached = "faults", False
            else:
                word, reached = "lands in the shared frame", memory.read_word(slot) == _MARK
                self._cpu.store_word(va, before)
            self._probes.note(
                not reached,
                "a store after the flush",
                self._cpu,
                va,
                "the freed frame is out of reach",
                "it is reached",
            )
            self._probes.tell("store", "to a tail, after the flush", self._cpu, word)


def _in_words(event: EntriesStored) -> str:
    """The first and the last of a run of entries."""
    first, last = int(event.after[0]), int(event.after[-1])
    return f"{first:#x}" if event.after.size == 1 else f"{first:#x} … {last:#x}, {event.after.size} entries"
