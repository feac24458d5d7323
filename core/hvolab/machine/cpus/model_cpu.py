# SPDX-License-Identifier: GPL-2.0-only
"""A CPU in Python: it translates through the machine's tables, and its TLB fills lazily and keeps every entry."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from hvolab.arch import Access, Fault, FaultKind, PageFault, UpdateRule
from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab.errors import AbsentMemoryError, KernelBug, UsageError
from hvolab.machine.cpus.model_runs import ModelRuns, Offsets, Vas, Words, unaligned
from hvolab.machine.cpus.permissions import WalkPermissions
from hvolab.machine.memory.physical import PhysicalMemory
from hvolab.machine.memory.physical import Words as MemoryWords
from hvolab.machine.memory.tables import PageTables
from hvolab.trace import Barrier, PageCopied, Stored, Trace

_READ, _WRITE, _EXECUTE = int(Access.READ), int(Access.WRITE), int(Access.EXECUTE)
_UNALIGNED = WORD_BYTES - 1
#: Equal steps from link to link of a chain, after which the links to come are guessed.
_EVEN_LINKS = 16

#: TLB entry: PA of the first byte that it maps, and the accesses that it allows.
Translation = tuple[int, int]


class ModelCpu:
    """One modeled CPU, with all operations of :class:`Cpu` and :class:`Bulk`.

    Every translation is cached until it is flushed, up to ``tlb_capacity`` for each size of leaf (``None``:
    unlimited); then the oldest is dropped. If a cached translation does not allow an access, the tables are walked
    again before the access faults, as hardware and emulators do.
    """

    def __init__(
        self, index: int, memory: PhysicalMemory, tables: PageTables, trace: Trace, *, tlb_capacity: int | None = None
    ) -> None:
        self.index = index
        self.tlb_capacity = tlb_capacity
        #: Called with first VA, first PFN and number of pages of each translation that the TLB takes up.
        self.fill_listeners: list[Callable[[int, int, int], None]] = []
        self._memory = memory
        self._tables = tables
        self._trace = trace
        self._target = tables.target
        self._mmu = tables.target.mmu
        self._words = memory.scalar
        self._entries = memory.entry_scalar
        self._base = memory.base
        self._size = memory.size
        mode = self._target.mode
        self._page_mask = mode.page_size - 1
        self._page_shift = mode.page_shift
        self._levels = mode.levels
        #: By depth: the shift of a leaf, and the translations of that size, by VA shifted down.
        self._leaves = [(level.shift, OrderedDict[int, Translation]()) for level in mode.levels]
        leaves = zip(mode.levels, self._leaves, strict=True)
        #: Those of the levels that may hold leaves, pages first.
        self._tlb = [leaf for level, leaf in reversed([*leaves]) if mode.format.leaf_form(level.name)]
        self._pages = self._tlb[0][1]
        #: The largest first: most stores go to the direct map.
        self._larger = [(shift, (1 << shift) - 1, cached) for shift, cached in reversed(self._tlb[1:])]
        self._permissions = WalkPermissions(self._target)
        self._runs = ModelRuns(memory, tables, self._permissions, self.translate)

    # translation

    def translate(self, va: int, need: int) -> int:
        """Return the PA of ``va`` for an access that needs ``need`` (bits of Access); raises PageFault."""
        hit = self._pages.get(va >> self._page_shift)
        if hit is not None and hit[1] & need == need:
            return hit[0] | va & self._page_mask
        for shift, inside, cached in self._larger:
            hit = cached.get(va >> shift)
            if hit is not None and hit[1] & need == need:
                return hit[0] | va & inside
        return self._fill(va, need)

    def _fill(self, va: int, need: int, read: list[tuple[int, int]] | None = None) -> int:
        """Walk the tables for ``va``, cache the translation, and return the PA; raises PageFault.

        Index and value of each word that is read are appended to ``read``.
        """
        tables: list[int] = []
        try:
            depth, index, raw = self._tables.descend(va, tables, read)
        except AbsentMemoryError as error:
            raise self._fault(FaultKind.ABSENT, need, va, len(tables), 0) from error
        permission = self._permissions.of(depth, raw, tables)
        if self._mmu.table_accessed is not None:
            self._mark_tables(va, tables, depth)
        allowed = permission.allowed
        if (permission.dirty_faults or allowed & need != need) and (kind := permission.fault(need)) is not None:
            raise self._fault(kind, need, va, depth, raw)
        if not permission.settled:
            raw, allowed = self._update_flags(need, index, raw, allowed)
        shift, cached = self._leaves[depth]
        form = permission.form
        assert form is not None  # noqa: S101 - without one, the walk would have faulted
        start: int = form.get_address(raw)
        if form.shift > shift:  # one of a run of entries: the bits between are those of the VA
            start |= va & (1 << form.shift) - (1 << shift)
        if self.tlb_capacity is not None and len(cached) >= self.tlb_capacity:
            cached.popitem(last=False)
        cached[va >> shift] = (start, allowed)
        for listener in self.fill_listeners:
            listener(va >> shift << shift, start >> self._page_shift, 1 << shift - self._page_shift)
        return start | va & (1 << shift) - 1

    def _mark_tables(self, va: int, tables: list[int], depth: int) -> None:
        """Set the accessed flag of the table entries of a walk, up to one with a reserved bit set."""
        flag, entry_format = self._mmu.table_accessed, self._target.mode.format
        assert flag is not None  # noqa: S101 - the caller has checked it
        if all(map(flag.accepts, tables)):
            return
        for level, entry, step in zip(self._levels[:depth], tables, self._tables.walk(va), strict=False):
            if entry_format.broken_rules(level.name, entry):
                return
            self._memory.write_entry(step.slot, entry & ~flag.mask | flag.value)

    def _update_flags(self, need: int, index: int, raw: int, allowed: int) -> tuple[int, int]:
        """Set the accessed and dirty flags that the walker sets; return the new entry and the accesses it allows."""
        mmu = self._mmu
        if mmu.accessed is not None and mmu.accessed_by is UpdateRule.WALKER and not mmu.accessed.accepts(raw):
            raw = self._entries[index] = raw & ~mmu.accessed.mask | mmu.accessed.value
        if mmu.dirty is not None and mmu.dirty_by is not UpdateRule.NOBODY and not mmu.dirty.accepts(raw):
            if need & _WRITE:
                raw = self._entries[index] = raw & ~mmu.dirty.mask | mmu.dirty.value
            else:
                allowed &= ~_WRITE  # a later store walks again, and sets the flag or faults
        return raw, allowed

    def _fault(self, kind: FaultKind, need: int, va: int, depth: int, raw: int) -> PageFault:
        access = Access(need)
        syndrome = self._mmu.syndrome(kind, access, va, len(self._levels) - 1 - depth)
        return PageFault(Fault(kind, access, va, self._levels[depth].name, raw, self.index, syndrome))

    # loads and stores

    def _pieces(self, va: int, size: int, need: int) -> list[tuple[int, int]]:
        """Return ``[va, va + size)`` as pairs of PA and size, one for each page, all of them translated."""
        pieces = []
        while size:
            part = min(size, self._page_mask + 1 - (va & self._page_mask))
            pieces.append((self.translate(va, need), part))
            va += part
            size -= part
        return pieces

    def load(self, va: int, size: int) -> bytes:
        """Return the bytes ``[va, va + size)``."""
        return b"".join(self._memory.view(pa, part).tobytes() for pa, part in self._pieces(va, size, _READ))

    def store(self, va: int, data: bytes) -> None:
        """Store ``data`` at ``va``; nothing is stored where any page faults."""
        done = 0
        for pa, part in self._pieces(va, len(data), _WRITE):
            self._memory.view(pa, part)[:] = np.frombuffer(data, np.uint8, part, done)
            if self._trace.listeners:
                self._trace.emit(Stored(self.index, va + done, pa, part))
            done += part

    def load_word(self, va: int) -> int:
        """Return the word at ``va``."""
        return self._words[self._word(va, _READ)]

    def store_word(self, va: int, value: int) -> None:
        """Store a word at ``va``."""
        index = self._word(va, _WRITE)
        self._words[index] = value
        if self._trace.listeners:
            self._trace.emit(Stored(self.index, va, self._base + (index << WORD_SHIFT), WORD_BYTES))

    def _word(self, va: int, need: int) -> int:
        """Return the index in memory of the word at ``va``; raises PageFault, AbsentMemoryError and UsageError."""
        if va & _UNALIGNED:
            raise unaligned(va, WORD_BYTES)
        hit = self._pages.get(va >> self._page_shift)  # as translate() does, one call less in the common case
        pa = hit[0] | va & self._page_mask if hit is not None and hit[1] & need == need else self.translate(va, need)
        offset = pa - self._base
        if not 0 <= offset < self._size or self._memory.present is not None:
            self._memory.offset(pa, WORD_BYTES)
        return offset >> WORD_SHIFT

    def load_words(self, vas: Vas) -> Words:
        """Return the word at each VA."""
        words: Words = self._memory.words[self._runs.offsets(vas, _READ) >> WORD_SHIFT]
        return words

    def load_chain(self, va: int, end: int) -> Words:
        """Return the links of a chain; raises KernelBug for one that comes back to a link of its own."""
        links = array("Q")  # half a million of ints would stay in the heap
        link, before = self._words[self._word(va, _READ)], va
        passed, look_out_until, step, even = va, 1, 0, 0
        while link != end:
            even = even + 1 if link - before == step else 0
            step, before = link - before, link
            links.append(link)
            if even >= _EVEN_LINKS:
                more = self._runs.evenly_linked(link, step, end)
                if (more == passed).any():
                    link = passed
                elif more.size:
                    links.frombytes(more.tobytes())
                    link = before = links[-1]
                else:
                    even = 0
            if link == passed:
                raise KernelBug(f"a chain comes back to VA {passed:#x} and has no end", va=passed)
            if len(links) >= look_out_until:  # twice as long each time: longer than any circle in the end
                passed, look_out_until = link, 2 * len(links)
            link = self._words[self._word(link, _READ)]
        return np.array(links, dtype=np.uint64)

    def store_words(self, vas: Vas, values: Words) -> None:
        """Store a word at each VA."""
        offsets = self._runs.offsets(vas, _WRITE)
        self._memory.words[offsets >> WORD_SHIFT] = values
        self._stored(vas, offsets, WORD_BYTES)

    def _stored(self, vas: Vas, offsets: Offsets, size: int) -> None:
        if self._trace.listeners:
            for va, offset in zip(vas.tolist(), offsets.tolist(), strict=True):
                self._trace.emit(Stored(self.index, va, self._base + offset, size))

    def compare_and_swap(self, va: int, old: int, new: int) -> int:
        """Store ``new`` at ``va`` if the word there is ``old``; return the word found."""
        found, index = self._exchange(self._words, va, old, new)
        if index is not None and self._trace.listeners:
            self._trace.emit(Stored(self.index, va, self._base + (index << WORD_SHIFT), WORD_BYTES))
        return found

    def _exchange(self, words: MemoryWords, va: int, old: int, new: int) -> tuple[int, int | None]:
        """Compare and swap in ``words``; return the word found, and the index in memory of the word if it is stored."""
        need = _READ | _WRITE if self._target.traits.compare_and_swap_needs_write else _READ
        if va & _UNALIGNED and self._mmu.aligned_atomics:
            depth, _, raw = self._tables.descend(va)
            raise self._fault(FaultKind.ALIGNMENT, need, va, depth, raw)
        found = words[self._word(va, need)]
        if found != old:
            return found, None
        index = self._word(va, _READ | _WRITE)
        words[index] = new
        return found, index

    def change_bits(self, va: int, *, set_bits: int = 0, clear_bits: int = 0) -> int:
        """Set and clear bits of a word in one access; return the word as it was."""
        index = self._word(va, _READ | _WRITE)
        before = self._words[index]
        self._words[index] = before & ~clear_bits | set_bits
        if self._trace.listeners:
            self._trace.emit(Stored(self.index, va, self._base + (index << WORD_SHIFT), WORD_BYTES))
        return before

    def fetch(self, va: int) -> None:
        """Attempt an instruction fetch at ``va`` without executing."""
        self._memory.offset(self.translate(va, _EXECUTE))

    def copy_page(self, to_va: int, from_va: int) -> None:
        """Copy one page."""
        pages = self._memory.pages
        source = self._row(from_va, _READ)
        pages[self._row(to_va, _WRITE)] = pages[source]
        if self._trace.listeners:
            self._trace.emit(PageCopied(self.index, to_va, from_va))

    def copy_pages(self, to_vas: Vas, from_vas: Vas) -> None:
        """Copy one page for each pair of VAs."""
        size = self._page_mask + 1
        self._runs.copy_pages(self._runs.offsets(to_vas, _WRITE, size), self._runs.offsets(from_vas, _READ, size))
        if self._trace.listeners:
            for to_va, from_va in zip(to_vas.tolist(), from_vas.tolist(), strict=True):
                self._trace.emit(PageCopied(self.index, to_va, from_va))

    def copy_runs(self, to_vas: Vas, from_vas: Vas, size: int) -> None:
        """Copy ``size`` bytes, whole words, for each pair of VAs."""
        if size & _UNALIGNED:
            raise UsageError(f"{size} bytes are not whole words", hint="load and store them as bytes")
        to = self._runs.offsets(to_vas, _WRITE)
        self._runs.copy_runs(to, self._runs.offsets(from_vas, _READ), size)
        self._stored(to_vas, to, size)

    def _row(self, va: int, need: int) -> int:
        """Return the index in memory of the page at ``va``; raises PageFault, AbsentMemoryError and UsageError."""
        if va & self._page_mask:
            raise unaligned(va, self._page_mask + 1)
        return self._memory.offset(self.translate(va, need), self._page_mask + 1) >> self._page_shift

    # page tables

    def find_entry(self, tables: PageTables, va: int) -> tuple[int, int, int]:
        """Walk ``tables`` for ``va``; return depth, PA of the slot, and entry at the last level reached."""
        depth, index, raw = tables.descend(va)
        return depth, self._base + (index << WORD_SHIFT), raw

    def read_entry(self, slot_va: int) -> int:
        """Return one page-table entry."""
        return self._entries[self._word(slot_va, _READ)]

    def read_entries(self, slot_va: int, count: int) -> Words:
        """Return a copy of ``count`` entries of one table."""
        first = self._word(slot_va, _READ)
        return self._memory.entries[first : first + count].astype(np.uint64)

    def read_entry_rows(self, slot_vas: Vas, count: int) -> Words:
        """Return ``count`` entries from each slot on."""
        return self._runs.read_rows(self._runs.offsets(slot_vas, _READ), count)

    def write_entry(self, slot_va: int, raw: int) -> None:
        """Store one page-table entry."""
        self._entries[self._word(slot_va, _WRITE)] = raw

    def write_entries(self, slot_va: int, raws: Words) -> None:
        """Store entries side by side in one table."""
        first = self._word(slot_va, _WRITE)
        self._memory.entries[first : first + raws.size] = raws

    def write_entry_rows(self, slot_vas: Vas, rows: Words) -> None:
        """Store a row of entries from each slot on."""
        self._runs.write_rows(self._runs.offsets(slot_vas, _WRITE), rows)

    def exchange_entry(self, slot_va: int, old: int, new: int) -> int:
        """Replace an entry by compare-and-swap; return the entry found."""
        return self._exchange(self._entries, slot_va, old, new)[0]

    # flushes and barriers

    def flush_range(self, start: int, end: int) -> None:
        """Remove the translations of ``[start, end)`` from the TLB."""
        for shift, cached in self._tlb:
            pages = range(start >> shift, ((end - 1) >> shift) + 1)
            for page in pages if len(pages) <= len(cached) else [page for page in cached if page in pages]:
                cached.pop(page, None)

    def flush_all(self) -> None:
        """Remove every translation, if the architecture's flush_tlb_all() is effective."""
        if self._target.traits.flush_all_effective:
            for _, cached in self._tlb:
                cached.clear()

    def barrier(self, kind: str) -> None:
        """Emit an event only: the model executes stores in program order."""
        if self._trace.listeners:
            self._trace.emit(Barrier(self.index, kind))

    def save(self) -> Callable[[], None]:
        """Save the TLB; return the function that restores it."""
        saved = [cached.copy() for _, cached in self._tlb]

        def restore() -> None:
            for (_, cached), entries in zip(self._tlb, saved, strict=True):
                cached.clear()
                cached.update(entries)

        return restore

    def cached_translations(self) -> Words:
        """Return first VA, first PFN and number of pages of every cached translation, shape (n, 3)."""
        rows = [
            (page << shift, pa >> self._page_shift, 1 << (shift - self._page_shift))
            for shift, cached in self._tlb
            for page, (pa, _) in cached.items()
        ]
        return np.array(rows, dtype=np.uint64).reshape(-1, 3)
