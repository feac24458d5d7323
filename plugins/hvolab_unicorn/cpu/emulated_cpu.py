# SPDX-License-Identifier: GPL-2.0-only
"""A CPU that executes the architecture's own instructions in unicorn for every access, entry and flush."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from hvolab.arch import BARRIERS, PageFault
from hvolab.arithmetic import WORD_BYTES, div_round_up
from hvolab.errors import UsageError
from hvolab.machine import Machine, PageTables
from hvolab.machine.cpus.bulk import find_entry
from hvolab.trace import Barrier, PageCopied, Stored
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.emulator.library import translate

Words = npt.NDArray[np.uint64]
_READABLE = 1  # UC_PROT_READ
#: Links that are followed at first: most lists are short.
_FEW_LINKS = 128


class EmulatedCpu:
    """One emulated CPU of a machine, with all operations of :class:`hvolab.machine.BulkCpu` and :class:`StepCpu`.

    Its TLB is the emulator's: a stale translation survives as long as it does there. A bulk operation is a loop in the
    guest, with arguments and results in a buffer of the CPU's guest area, which is filled as often as needed. If one
    of its accesses faults, those before it were done.

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
        self._page_size = machine.target.mode.page_size
        #: Type of an entry in memory, and whether its byte order is not that of the words that the guest loads.
        self._entry = machine.memory.entries.dtype
        self._swapped = self._entry != machine.memory.words.dtype
        self._ceiling = self.vcpu.part.ceiling(machine.target.mode)
        self._call = self.vcpu.call
        routines = self._routines = self.vcpu.routines
        self._load, self._store, self._write_entry = (routines[name] for name in ("load", "store", "write_entry"))
        self._barriers = {kind: routines[step] for kind, step in BARRIERS.items()}
        self._words = self.vcpu.area.words
        self._octets = self._words.view(np.uint8)
        self._buffer = self.vcpu.area.buffer
        self._half = self._words.size // 2
        self._second = self._buffer + self._half * WORD_BYTES

    def __reduce__(self) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(
            f"emulated CPU {self.index} cannot be copied or pickled: the emulator does not show its TLB",
            hint="copy the machine before emulate() replaces its CPUs, and emulate those of the copy",
        )

    # bytes

    def load(self, va: int, size: int) -> bytes:
        """Return the bytes ``[va, va + size)``."""
        parts, room = [], self._octets.size
        for done in range(0, size, room):
            part = min(room, size - done)
            self._copy(self._buffer, va + done, part)
            parts.append(self._octets[:part].tobytes())
        return b"".join(parts)

    def store(self, va: int, data: bytes) -> None:
        """Store ``data`` at ``va``; nothing is stored where any page faults."""
        end, page_size = va + len(data), self._page_size
        starts = [va, *range((va // page_size + 1) * page_size, end, page_size)] if data else []
        if len(starts) > 1:
            for start in starts:
                self._require_store(start, data[start - va : start - va + 1])
        self._store_bytes(va, data)
        for start, stop in pairwise([*starts, end]):
            self._stored((start,), stop - start)

    def _store_bytes(self, va: int, data: bytes) -> None:
        room = self._octets.size
        for done in range(0, len(data), room):
            part = data[done : done + room]
            self._octets[: len(part)] = np.frombuffer(part, dtype=np.uint8)
            self._copy(va + done, self._buffer, len(part))

    def _require_store(self, va: int, byte: bytes) -> None:
        """Raise PageFault if ``va`` cannot be stored to; store nothing.

        An atomic operation touches the word around it without changing it. If that faults, so does the store of
        ``byte``, which reports the fault.
        """
        try:
            self._call(self._routines["touch"], va & -WORD_BYTES)
        except PageFault:
            self._store_bytes(va, byte)

    def _copy(self, to_va: int, from_va: int, size: int) -> None:
        aligned = (to_va | from_va | size) % WORD_BYTES == 0
        step, count = ("copy_words", size // WORD_BYTES) if aligned else ("copy_bytes", size)
        self._call(self._routines[step], to_va, from_va, count, work=count)

    def _stored(self, vas: Iterable[int], size: int) -> None:
        """Emit a store of ``size`` bytes at each VA; the PA is the one that this CPU has just translated it to."""
        if self._trace.listeners:
            for va in map(int, vas):
                pa = translate(self.vcpu.uc, va, _READABLE)
                self._trace.emit(Stored(self.index, va, pa or 0, size))

    # words

    def load_word(self, va: int) -> int:
        """Return the word at ``va``."""
        return self._call(self._load, va)

    def store_word(self, va: int, value: int) -> None:
        """Store a word at ``va``."""
        self._call(self._store, va, value)
        self._stored((va,), WORD_BYTES)

    def load_words(self, vas: Words) -> Words:
        """Return the word at each VA."""
        found = np.empty(vas.size, dtype=np.uint64)
        for first in range(0, vas.size, self._words.size):
            part = vas[first : first + self._words.size]
            self._words[: part.size] = part
            self._call(self._routines["load_words"], self._buffer, self._buffer, part.size, work=part.size)
            found[first : first + part.size] = self._words[: part.size]
        return found

    def load_chain(self, va: int, end: int) -> Words:
        """Return the links of a chain; raises GuestStuckError for one that returns to a link of its own."""
        parts, room, routine = list[Words](), _FEW_LINKS, self._routines["load_chain"]
        passed, look_out_until = va, 1
        while True:
            count = self._call(routine, va, end, self._buffer, room, work=room)
            if count:
                parts.append(self._words[:count].astype(np.uint64))
                va = int(parts[-1][-1])
            if count < room:
                break
            if (parts[-1] == np.uint64(passed)).any():
                raise self.vcpu.stuck(routine, f"follows a chain that comes back to VA {passed:#x} and has no end")
            if len(parts) == look_out_until:  # twice as long each time: longer than any circle in the end
                passed, look_out_until = va, 2 * len(parts)
            room = self._words.size
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)

    def store_words(self, vas: Words, values: Words) -> None:
        """Store a word at each VA."""
        self._pairs("store_words", vas, values)
        self._stored(vas, WORD_BYTES)

    def compare_and_swap(self, va: int, old: int, new: int) -> int:
        """Store ``new`` at ``va`` if the word there is ``old``; return the word found."""
        found = self._call(self._routines["compare_and_swap"], va, old, new)
        if found == old:
            self._stored((va,), WORD_BYTES)
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
        self._pairs("copy_runs", to_vas, from_vas, self._page_size // WORD_BYTES)
        if self._trace.listeners:
            for to_va, from_va in zip(to_vas.tolist(), from_vas.tolist(), strict=True):
                self._trace.emit(PageCopied(self.index, to_va, from_va))

    def copy_runs(self, to_vas: Words, from_vas: Words, size: int) -> None:
        """Copy ``size`` bytes, whole words, for each pair of VAs."""
        self._pairs("copy_runs", to_vas, from_vas, size // WORD_BYTES)
        self._stored(to_vas, size)

    def _pairs(self, step: str, first: Words, second: Words, words: int = 1) -> None:
        """Execute a step for pairs, which are in the two halves of the buffer; it visits ``words`` words for each."""
        for start in range(0, first.size, self._half):
            count = min(self._half, first.size - start)
            self._words[:count] = first[start : start + count]
            self._words[self._half : self._half + count] = second[start : start + count]
            self._call(self._routines[step], self._buffer, self._second, count, words, work=count * words)

    # page tables

    def find_entry(self, tables: PageTables, va: int) -> tuple[int, int, int]:
        """Walk ``tables`` for ``va`` by loads of the guest; return depth, PA of the slot, and entry."""
        return find_entry(self, tables, va)

    def read_entry(self, slot_va: int) -> int:
        """Return one page-table entry."""
        return self._as_entry(self.load_word(slot_va))

    def _as_entry(self, word: int) -> int:
        """Return the entry whose bytes are those of a word, and the word whose bytes are those of an entry.

        Kernel: be64_to_cpu(), cpu_to_be64(), where entries and data differ in their byte order.
        """
        return int.from_bytes(word.to_bytes(WORD_BYTES, "little"), "big") if self._swapped else word

    def read_entries(self, slot_va: int, count: int) -> Words:
        """Return a copy of ``count`` entries of one table."""
        return np.frombuffer(self.load(slot_va, count * WORD_BYTES), dtype=self._entry).astype(np.uint64)

    def read_entry_rows(self, slot_vas: Words, count: int) -> Words:
        """Return ``count`` entries from each slot on."""
        vas: Words = slot_vas[:, None] + np.arange(count, dtype=np.uint64) * np.uint64(WORD_BYTES)
        found = self.load_words(vas.ravel()).reshape(vas.shape)
        return found.byteswap() if self._swapped else found

    def write_entry(self, slot_va: int, raw: int) -> None:
        """Store one page-table entry."""
        self._call(self._write_entry, slot_va, self._as_entry(raw))

    def write_entries(self, slot_va: int, raws: Words) -> None:
        """Store entries side by side in one table."""
        self.write_entry_rows(_words(slot_va), raws.reshape(1, -1))

    def write_entry_rows(self, slot_vas: Words, rows: Words) -> None:
        """Store a row of entries from each slot on; a row that exceeds the buffer is stored piece by piece."""
        columns = rows.shape[1]
        room = self._words.size - 1
        if columns > room:
            for first in range(0, columns, room):
                self.write_entry_rows(slot_vas + np.uint64(first * WORD_BYTES), rows[:, first : first + room])
            return
        step = self._words.size // (columns + 1)
        for first in range(0, slot_vas.size if columns else 0, step):
            part = rows[first : first + step]
            count = part.shape[0]
            self._words[:count] = slot_vas[first : first + step]
            self._words[count : count + part.size] = (part.byteswap() if self._swapped else part).ravel()
            entries = self._buffer + count * WORD_BYTES
            self._call(self._routines["write_entry_rows"], self._buffer, entries, count, columns, work=part.size)

    def exchange_entry(self, slot_va: int, old: int, new: int) -> int:
        """Replace an entry by compare-and-swap; return the entry found."""
        words = map(self._as_entry, (old, new))
        return self._as_entry(self._call(self._routines["exchange_entry"], slot_va, *words))

    # flushes and barriers

    def flush_range(self, start: int, end: int) -> None:
        """Flush ``[start, end)`` page by page; beyond the kernel's ceiling, flush everything."""
        first = start // self._page_size
        count = div_round_up(end, self._page_size) - first
        if count > self._ceiling:
            self.flush_all()
        elif count == 1:
            self._call(self._routines["flush_page"], first * self._page_size)
        elif count > 0:
            self._call(self._routines["flush_pages"], first * self._page_size, count, self._page_size, work=count)

    def flush_all(self) -> None:
        """Flush the whole TLB."""
        self._call(self._routines["flush_all"])

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
        sequence = self._routines[step].sequence
        held = {register: inputs[name] for name, register in sequence.inputs}
        arguments = [held.get(register, 0) for register in self.vcpu.part.convention.arguments]
        result = self._call(self._routines[step], *arguments[:4])
        return {name: result for name, _ in sequence.outputs}

    def registers(self) -> Mapping[str, int]:
        """Return the general registers after the last step."""
        return {name: self.vcpu.uc.reg_read(self.vcpu.register(name)) for name in self.vcpu.family.general}

    def cached_translations(self) -> None:
        """Return ``None``: the emulator cannot report the contents of its TLB."""
        return


def _words(*values: int) -> Words:
    return np.array(values, dtype=np.uint64)
