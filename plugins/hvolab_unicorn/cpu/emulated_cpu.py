"""A CPU that executes the architecture's own instructions in unicorn for every access, entry and flush."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from hvolab.arch import BARRIERS
from hvolab.arithmetic import WORD_BYTES, div_round_up
from hvolab.errors import UsageError
from hvolab.machine import Machine, PageTables
from hvolab.machine.cpus.bulk import find_entry
from hvolab.trace import Barrier, PageCopied, Stored
from hvolab_unicorn.cpu.runs import Runs
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.emulator.library import translate

Words = npt.NDArray[np.uint64]
#: Arguments that a step has at most.
_ARGUMENTS = 4
_READABLE = 1  # UC_PROT_READ


class EmulatedCpu:
    """One emulated CPU of a machine, with all operations of :class:`hvolab.machine.BulkCpu` and :class:`StepCpu`.

    Its TLB is the emulator's: a stale translation survives as long as it does there. A bulk operation is a loop in the
    guest: if one of its accesses faults, those before it were done.

    machine  built with guest text (build_machine() maps it)
    index    number of the CPU in it
    handler  record faults by a handler in the guest, as a kernel does, which is slower; else they are read from the
             emulator's state

    Raises UsageError if unicorn is not installed, or cannot emulate the target.
    """

    def __init__(self, machine: Machine, index: int = 0, *, handler: bool = False) -> None:
        self.index = index
        self.vcpu = VirtualCpu(machine, index, handler=handler)
        self._trace = machine.trace
        self._mode = machine.target.mode
        self._page_size = self._mode.page_size
        self._page_words = self._page_size // WORD_BYTES
        self._native = machine.memory.words.dtype
        self._runs = Runs(self.vcpu)
        self._ceiling = self.vcpu.part.ceiling(self._mode)
        self._call = self.vcpu.call
        routines = self.vcpu.routines
        self._load, self._store, self._write_entry = (routines[name] for name in ("load", "store", "write_entry"))
        self._barriers = {kind: routines[step] for kind, step in BARRIERS.items()}

    # loads and stores

    def load(self, va: int, size: int) -> bytes:
        """Return the bytes ``[va, va + size)``."""
        return self._runs.load(va, size)

    def store(self, va: int, data: bytes) -> None:
        """Store ``data`` at ``va``; nothing is stored where any page faults."""
        pieces = self._pieces(va, len(data))
        if len(pieces) > 1:
            for start, _ in pieces:
                self._require_store(start, data[start - va : start - va + 1])
        self._runs.store(va, data)
        if self._trace.listeners:
            for start, size in pieces:
                self._trace.emit(Stored(self.index, start, self._pa(start), size))

    def _pieces(self, va: int, size: int) -> list[tuple[int, int]]:
        """Return ``[va, va + size)`` as VA and size of its part in each page."""
        pieces, end = [], va + size
        while va < end:
            part = min(end, (va // self._page_size + 1) * self._page_size) - va
            pieces.append((va, part))
            va += part
        return pieces

    def _require_store(self, va: int, byte: bytes) -> None:
        """Raise PageFault if ``va`` cannot be stored to; store nothing.

        An atomic operation touches the word around it without changing it. If that faults, so does the store of
        ``byte``, which reports the fault.
        """
        if not self._runs.can_touch(va & -WORD_BYTES):
            self._runs.store(va, byte)

    def load_word(self, va: int) -> int:
        """Return the word at ``va``."""
        return self._call(self._load, va)

    def store_word(self, va: int, value: int) -> None:
        """Store a word at ``va``."""
        self._call(self._store, va, value)
        if self._trace.listeners:
            self._trace.emit(Stored(self.index, va, self._pa(va), WORD_BYTES))

    def load_words(self, vas: Words) -> Words:
        """Return the word at each VA."""
        return self._runs.load_words(vas)

    def load_chain(self, va: int, end: int) -> Words:
        """Return the links of a chain from the word at ``va`` on, up to ``end``."""
        return self._runs.load_chain(va, end)

    def store_words(self, vas: Words, values: Words) -> None:
        """Store a word at each VA."""
        self._runs.store_words(vas, values)
        self._stored(vas, WORD_BYTES)

    def compare_and_swap(self, va: int, old: int, new: int) -> int:
        """Store ``new`` at ``va`` if the word there is ``old``; return the word found."""
        found = self._call(self.vcpu.routines["compare_and_swap"], va, old, new)
        if found == old and self._trace.listeners:
            self._trace.emit(Stored(self.index, va, self._pa(va), WORD_BYTES))
        return found

    def fetch(self, va: int) -> None:
        """Jump to ``va`` and stop before the first instruction there; raises PageFault."""
        self.vcpu.fetch(va)

    # copies

    def copy_page(self, to_va: int, from_va: int) -> None:
        """Copy one page."""
        self.copy_pages(_words(to_va), _words(from_va))

    def copy_pages(self, to_vas: Words, from_vas: Words) -> None:
        """Copy one page for each pair of VAs."""
        self._runs.copy(to_vas, from_vas, self._page_words)
        if self._trace.listeners:
            for to_va, from_va in zip(to_vas.tolist(), from_vas.tolist(), strict=True):
                self._trace.emit(PageCopied(self.index, to_va, from_va))

    def copy_runs(self, to_vas: Words, from_vas: Words, size: int) -> None:
        """Copy ``size`` bytes, whole words, for each pair of VAs."""
        self._runs.copy(to_vas, from_vas, size // WORD_BYTES)
        self._stored(to_vas, size)

    def _stored(self, vas: Words, size: int) -> None:
        if self._trace.listeners:
            for va in vas.tolist():
                self._trace.emit(Stored(self.index, va, self._pa(va), size))

    def _pa(self, va: int) -> int:
        """Return the PA of a VA that was just stored to, as this CPU translates it."""
        pa = translate(self.vcpu.uc, va, _READABLE)
        return 0 if pa is None else pa

    # page tables

    def find_entry(self, tables: PageTables, va: int) -> tuple[int, int, int]:
        """Walk ``tables`` for ``va`` by loads of the guest; return depth, PA of the slot, and entry."""
        return find_entry(self, tables, va)

    def read_entries(self, slot_va: int, count: int) -> Words:
        """Return a copy of ``count`` entries of one table."""
        return np.frombuffer(self.load(slot_va, count * WORD_BYTES), dtype=self._native).astype(np.uint64)

    def read_entry_rows(self, slot_vas: Words, count: int) -> Words:
        """Return ``count`` entries from each slot on."""
        vas: Words = slot_vas[:, None] + np.arange(count, dtype=np.uint64) * np.uint64(WORD_BYTES)
        return self.load_words(vas.ravel()).reshape(vas.shape)

    def write_entry(self, slot_va: int, raw: int) -> None:
        """Store one page-table entry."""
        self._call(self._write_entry, slot_va, raw)

    def write_entries(self, slot_va: int, raws: Words) -> None:
        """Store entries side by side in one table."""
        self._runs.write_rows(_words(slot_va), raws.reshape(1, -1))

    def write_entry_rows(self, slot_vas: Words, rows: Words) -> None:
        """Store a row of entries from each slot on."""
        self._runs.write_rows(slot_vas, rows)

    def exchange_entry(self, slot_va: int, old: int, new: int) -> int:
        """Replace an entry by compare-and-swap; return the entry found."""
        return self._call(self.vcpu.routines["exchange_entry"], slot_va, old, new)

    # flushes and barriers

    def flush_range(self, start: int, end: int) -> None:
        """Flush ``[start, end)`` page by page; beyond the kernel's ceiling, flush everything."""
        first = start // self._page_size
        count = div_round_up(end, self._page_size) - first
        if count > self._ceiling:
            self.flush_all()
        elif count == 1:
            self._call(self.vcpu.routines["flush_page"], first * self._page_size)
        elif count > 0:
            routine = self.vcpu.routines["flush_pages"]
            self._call(routine, first * self._page_size, count, self._page_size, work=count)

    def flush_all(self) -> None:
        """Flush the whole TLB."""
        self._call(self.vcpu.routines["flush_all"])

    def barrier(self, kind: str) -> None:
        """Execute the architecture's barrier of that kind; raises UsageError for an unknown kind."""
        routine = self._barriers.get(kind)
        if routine is None:
            raise UsageError(f"unknown barrier {kind!r}", hint=f"choose one of {', '.join(self._barriers)}")
        self._call(routine)
        if self._trace.listeners:
            self._trace.emit(Barrier(self.index, kind))

    def save(self) -> Callable[[], None]:
        """Empty the emulator's TLB, which cannot be saved; return the function that does so again.

        No instruction of the guest is executed for that: its arguments would change the machine's memory.
        """
        self.vcpu.empty_tlb()
        return self.vcpu.empty_tlb

    def carry_out(self, step: str, inputs: Mapping[str, int]) -> Mapping[str, int]:
        """Execute the sequence of a step with these inputs; return its outputs."""
        routine = self.vcpu.routines[step]
        held = {register: inputs[name] for name, register in routine.sequence.inputs}
        arguments = [held.get(register, 0) for register in self.vcpu.part.convention.arguments]
        result = self._call(routine, *arguments[:_ARGUMENTS])
        return {name: result for name, _ in routine.sequence.outputs}

    def registers(self) -> Mapping[str, int]:
        """Return the general registers after the last step."""
        return {name: self.vcpu.uc.reg_read(self.vcpu.register(name)) for name in self.vcpu.family.general}

    def cached_translations(self) -> None:
        """Return ``None``: the emulator cannot report the contents of its TLB."""
        return


def _words(*values: int) -> Words:
    return np.array(values, dtype=np.uint64)
