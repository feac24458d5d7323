# SPDX-License-Identifier: GPL-2.0-only
"""Loads and stores of one CPU that runs a kernel's code: the footprint of its steps, and its walks of page tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab_explorer.steps.footprint import Token
from hvolab_explorer.world.machine import ExploredMachine
from hvolab_explorer.world.oracles import POISONED_WORD
from hvolab_kernel.interleaving.knowledge import Knowledge, Touched
from hvolab_kernel.interleaving.points import Points
from hvolab_kernel.interleaving.spin_locks import SpinLocks
from hvolab_kernel.interleaving.translations import Translations
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_kernel.running.processors import Processor


@dataclass
class Known:
    """Accesses of one kind that need no look: they can touch nothing that is shared until the next flush or change.

    frames   frames of which no word is shared
    settled  frames of which words may be: all that is recorded of an access is its word, unless that is shared
    shared   words of settled frames that are looked at all the same
    locks    words with spin locks, which are, too
    words    words that were touched in the schedule
    """

    shared: set[Token]
    words: set[Token]
    locks: set[int]
    frames: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)


#: Kind of access and VA of its instruction, for the story of a step.
Shown = tuple[bool, int]


class CpuUnderWay(Protocol):
    """The CPU that makes the accesses: see `hvolab_kernel.interleaving.cpu.InterleavedCpu`."""

    processor: Processor

    def counter(self) -> Callable[[], int]:
        """Return a function that reads the program counter."""

    def addresses(self, va: int) -> tuple[Callable[[], int], ...]:
        """Return a function for each memory operand of an instruction, which computes its address now."""


class Accesses:
    """Accesses of one CPU outside of its own stack.

    Only tokens that are known to be shared are in the footprint of a step; all are in ``touched``. A frame is looked at
    once, until a flush, a change of its translations or a free may make it matter; words that are shared always are.
    The emulator's TLB is taken for one that keeps every translation until it is flushed, all at once.

    touched  tokens of the schedule
    known    what need not be looked at again, of loads and of stores
    stores   VAs of the instructions that have stored to a page table in the step under way
    entries  words of page tables to which they have stored
    shown    stores and loads of shared words in the step under way: whether it stores, and the PA
    """

    def __init__(
        self,
        machine: ExploredMachine,
        loaded: LoadedKernel,
        cpu: CpuUnderWay,
        others: Sequence[Processor],
        knowledge: Knowledge,
        translations: Translations,
        locks: SpinLocks,
        code: Points,
    ) -> None:
        self.index = cpu.processor.number
        self._machine, self._scheduler, self._loaded = machine, machine.scheduler, loaded
        self._poisoned = machine.options.poisoned
        self._knowledge, self._translations, self._locks = knowledge, translations, locks
        self._code, self._counter, self._addresses = code, cpu.counter(), cpu.addresses
        self._shared = knowledge.shared[self.index, False], knowledge.shared[self.index, True]
        self._shift = machine.target.mode.page_shift
        self._ram = range(machine.memory.base, machine.memory.base + machine.memory.size)
        self._stacks = [range(one.stack.pa, one.stack.pa + one.stack.size) for one in others]
        self.touched = Touched()
        words = self.touched.reads, self.touched.writes
        self.known = Known(self._shared[0], words[0], locks.words), Known(self._shared[1], words[1], locks.words)
        self.stores: set[int] = set()
        self.entries: set[int] = set()
        self.shown: list[Shown] = []
        self._cached: set[tuple[int, bool]] = set()
        self._filled: set[int] = set()
        self._stale: set[int] = set()

    def private_at(self, counter: int) -> Callable[[], bool]:
        """Return a function: whether the instruction there, as its operand shows, is about to touch nothing shared.

        It is called hundreds of times in a schedule.
        """
        addresses = self._addresses(counter)
        if len(addresses) != 1:
            return lambda: False
        (address,), (loads, stores), locks = addresses, self._shared, self._locks.words
        linear, shift, loaded, translations = self._machine.virt(0), self._shift, self._loaded, self._translations
        first, stop = self._ram.start + linear, self._ram.stop + linear

        def is_private() -> bool:
            """Look at the address that the operand has now."""
            va = address()
            if first <= va < stop:
                pa = va - linear
            elif loaded.holds(va, WORD_BYTES):
                pa = loaded.pa(va)
            else:
                return False
            word, frame = pa >> WORD_SHIFT, pa >> shift
            if word in loads or word in stores or word in locks or frame in translations.tables:
                return False
            if pa % WORD_BYTES and (word + 1 in loads or word + 1 in stores):
                return False
            return ("frame", frame) not in loads

        return is_private

    # a schedule

    def begin(self) -> None:
        """Begin a schedule with an empty TLB."""
        self.touched.clear()
        self._filled.clear()
        self._stale.clear()
        self.stores.clear()
        self.entries.clear()
        self.emptied()
        self.begin_step()

    def begin_step(self) -> None:
        """Begin a step."""
        self.shown.clear()

    def emptied(self) -> None:
        """Follow a flush of this CPU's TLB."""
        self._cached.clear()
        self.look_again()

    def look_again(self, frames: Iterable[int] | None = None) -> None:
        """Look again at every access to these frames; None: to any."""
        for known in self.known:
            for looked_at in (known.frames, known.settled):
                if frames is None:
                    looked_at.clear()
                else:
                    looked_at.difference_update(frames)

    def flushed(self) -> None:
        """Follow a flush within the step of any CPU."""
        tokens = [("emulated tlb", cpu, page) for cpu, page in self._knowledge.exposed if cpu == self.index]
        self._scheduler.footprint.adds.update(tokens)
        self.emptied()

    def changed(self, page: int) -> None:
        """Follow a change of the translation of a page."""
        if page in self._filled:
            self._stale.add(page)
        self.look_again(self._translations.frames[page])

    # accesses

    def copies(self, to_va: int, to_pa: int, from_va: int, from_pa: int) -> bool:
        """Record the copy of a page before it takes effect; return False if each of its accesses is to be recorded."""
        size, frames = 1 << self._shift, {to_pa >> self._shift, from_pa >> self._shift}
        if any(lock >> self._shift in frames for lock in self._locks.pas):
            return False
        self.touch(from_pa, size, stores=False, va=from_va)
        self.touch(to_pa, size, stores=True, va=to_va)
        return True

    def touch(self, pa: int, size: int, *, stores: bool, va: int | None = None) -> None:
        """Record an access before it takes effect.

        va  its VA; None: that of an operand of the instruction
        """
        if not self._scheduler.active:
            return
        if self._locks.holds(pa):
            self._touch_lock(pa, stores=stores)
            return
        frame, ram = pa >> self._shift, pa in self._ram
        (self.touched.written_frames if stores else self.touched.read_frames).add(frame)
        contended = frame in self._knowledge.frames
        words = range(pa >> WORD_SHIFT, (pa + size - 1 >> WORD_SHIFT) + 1) if contended else range(0)
        visible = contended and self._touch_words(words, pa, stores=stores)
        mapped = self._translations.pages.get(frame, ()) if ram else ()
        if ram:
            visible |= self._read(("frame", frame))
            visible |= self._translate(mapped, va, stores=stores)
            self._check(frame, pa, stores=stores)
        elif any(pa in stack for stack in self._stacks):
            self._scheduler.report(f"CPU{self.index} uses the stack of another CPU, at PA {pa:#x}")
        in_table = stores and frame in self._translations.tables
        if visible or in_table:
            stop = self._code.stop_for(self._counter())
            if in_table:
                self.stores.add(stop)
                self.entries.update(range(pa >> WORD_SHIFT, (pa + size - 1 >> WORD_SHIFT) + 1))
            if visible:
                self._knowledge.growing.points.add(stop)
        elif (stores or not self._poisoned) and all((page, stores) in self._cached for page in mapped):
            (self.known[stores].settled if contended else self.known[stores].frames).add(frame)

    def _check(self, frame: int, pa: int, *, stores: bool) -> None:
        """Report an access to a frame that is free, and a load of poison."""
        if self._machine.is_free(frame):
            what = "stores to" if stores else "reads"
            self._scheduler.report(f"the kernel's code {what} a free frame, at PA {pa:#x} on CPU{self.index}")
        elif self._poisoned and not stores and self._machine.memory.read_word(pa & -WORD_BYTES) == POISONED_WORD:
            self._scheduler.report(f"the kernel's code loads what is not written yet, at PA {pa:#x} on CPU{self.index}")

    def _touch_lock(self, pa: int, *, stores: bool) -> None:
        """Record an access to a spin lock; the step of a function that takes it has the lock in its footprint."""
        va = self._counter()
        if not self._code.takes_lock(va) and self._locks.touch(pa, self.index, stores=stores):
            self._knowledge.growing.points.add(va)

    def _touch_words(self, words: range, pa: int, *, stores: bool) -> bool:
        """Record words of a contended frame; return whether one of them is shared."""
        footprint = self._scheduler.footprint
        mine, into = (self.touched.writes, footprint.writes) if stores else (self.touched.reads, footprint.reads)
        mine.update(words)
        seen = self._shared[stores].intersection(words)
        if not seen:
            return False
        into.update(seen)
        self.shown.append((stores, pa))
        return True

    def _read(self, token: Token) -> bool:
        """Record a token that is read; return whether it is shared."""
        self.touched.reads.add(token)
        if token not in self._shared[False]:
            return False
        self._scheduler.footprint.reads.add(token)
        return True

    def _translate(self, mapped: Collection[int], va: int | None, *, stores: bool) -> bool:
        """Record the walk of an access to one of the pages that its frame backs; return whether it must be a step.

        Without a known address it may be any of them, or none: then all are walked, and not taken for cached.
        """
        if not mapped:
            return False
        addresses = self._addresses(self._counter()) if va is None else ()
        if addresses:
            va = addresses[0 if stores else -1]()
        if va is not None:
            page = va >> self._shift
            return page in mapped and self._walk(page, stores=stores, known=True)
        visible = False
        for page in mapped:
            visible |= self._walk(page, stores=stores, known=False)
        return visible

    def _walk(self, page: int, *, stores: bool, known: bool) -> bool:
        """Record a walk, unless the TLB has the translation; return whether others change what it reads."""
        visible = False
        if page in self._stale:
            self._knowledge.growing.exposed.add((self.index, page))
        if (self.index, page) in self._knowledge.exposed:
            self._scheduler.footprint.reads.add(("emulated tlb", self.index, page))
            visible = True
        self._filled.add(page)
        if not known:
            return self._read(("translation", page)) or visible
        if (page, stores) not in self._cached and (page, True) not in self._cached:
            visible |= self._read(("translation", page))
        self._cached.add((page, stores))
        return visible

    def faulted(self, va: int, counter: int) -> None:
        """Record the walk of an access that faults, which the emulator does not report."""
        page = va >> self._shift
        if self._scheduler.active and self._read(("translation", page)):
            self._knowledge.growing.points.add(counter)
