"""Single accesses to the vmemmap of an optimized folio, each held against what the description foretells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from hvolab.arch import Access, FaultKind, PageFault
from hvolab.arch.fields import FieldValues
from hvolab.invariants import Finding
from hvolab.machine import Cpu, Machine
from hvolab.machine.struct_pages.layout import WORD

_ALL_ONES = (1 << 64) - 1


@dataclass
class ProbeCounts:
    """How much was tried, and what came of it.

    huge_pages    folios that were optimized, and probed
    tails         tail pages of their vmemmap
    loads         pages of vmemmap that were read through a tail's alias, whole, on each CPU
    stores        stores to tails, and to heads
    exchanges     compare-and-swaps of tails that must not succeed
    fetches       jumps into the vmemmap
    faults        how many of these faulted, each with the record that was foretold
    stale_stores  stores by another CPU through a translation that had not been flushed yet
    """

    huge_pages: int = 0
    tails: int = 0
    loads: int = 0
    stores: int = 0
    exchanges: int = 0
    fetches: int = 0
    faults: int = 0
    stale_stores: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ProbeMismatch:
    """An access that did not do what was foretold."""

    what: str
    cpu: int
    va: int
    foretold: str
    seen: str

    def __str__(self) -> str:
        return f"{self.what} on CPU {self.cpu} at VA {self.va:#x}: foretold {self.foretold}, seen {self.seen}"

    def as_dict(self) -> dict[str, Any]:
        """The mismatch for JSON."""
        return {**asdict(self), "va": f"{self.va:#x}"}


@dataclass(frozen=True)
class ProbeRecord:
    """What the CPUs saw when they first did something: the step, and a word for each CPU."""

    step: str
    what: str
    cpus: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The sight for JSON."""
        return {"step": self.step, "what": self.what, "cpus": list(self.cpus)}


@dataclass
class Probes:
    """Probes the folios of one machine.

    machine     the machine, its CPUs emulated
    counts      what was tried so far
    mismatches  what came out otherwise
    landed      VAs of tails that could be stored to, where the description foretells that they can
    broken      invariants that did not hold
    seen        by step and what was done: the words of each CPU
    """

    machine: Machine
    counts: ProbeCounts = field(default_factory=ProbeCounts)
    mismatches: list[ProbeMismatch] = field(default_factory=list)
    landed: list[int] = field(default_factory=list)
    broken: list[Finding] = field(default_factory=list)
    seen: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)

    def probe(self, folio: int, pages: int) -> None:
        """Probe an optimized folio with ``pages`` pages of vmemmap, on every CPU."""
        mode = self.machine.target.mode
        self.counts.huge_pages += 1
        self.counts.tails += pages - 1
        for cpu in self.machine.cpus:
            head = cpu.load(folio, mode.page_size)
            self._store_to_head(cpu, folio)
            self._fetch(cpu, folio)
            for page in range(1, pages):
                va = folio + page * mode.page_size
                self._load(cpu, va, head)
                self._store(cpu, va, folio)
                self._exchange(cpu, va)
                self._fetch(cpu, va)

    def after_restore(self, folio: int, pages: int) -> None:
        """Store to every page of a restored folio: each has a frame of its own again."""
        page_size = self.machine.target.mode.page_size
        vas = range(folio + self._word, folio + self._word + pages * page_size, page_size)
        for cpu in self.machine.cpus:
            before = {va: cpu.load_word(va) for va in vas}
            stored = [va for va in vas if self._allowed(cpu, "store", "to a restored page", va, va)]
            for va in stored:  # each took another value: whoever shares a frame lost one
                found = cpu.load_word(va)
                self.note(found == va, "a store to a restored page", cpu, va, f"it keeps {va:#x}", f"it has {found:#x}")
            for va in stored:
                cpu.store_word(va, before[va])

    @property
    def _word(self) -> int:
        """Offset of a word of the struct page that nothing keeps a state in."""
        return self.machine.struct_pages.layout.size - WORD

    # what is done

    def _load(self, cpu: Cpu, va: int, head: bytes) -> None:
        self.counts.loads += 1
        read = cpu.load(va, len(head))
        self.note(read == head, "a load of a tail page", cpu, va, "the head's bytes", "others")
        self.tell("load", "of a tail, through its alias", cpu, f"{cpu.load_word(va):#x}, the head's word")

    def _store_to_head(self, cpu: Cpu, folio: int) -> None:
        va = folio + self._word
        before = cpu.load_word(va)
        if self._allowed(cpu, "store", "to the head", va, before ^ _ALL_ONES):
            cpu.store_word(va, before)

    def _store(self, cpu: Cpu, va: int, folio: int) -> None:
        va, head = va + self._word, folio + self._word
        before = cpu.load_word(va)
        if self.machine.target.tails_fault:
            self._refused(cpu, "store", "to a tail", va, Access.WRITE, lambda: cpu.store_word(va, before ^ _ALL_ONES))
            self.counts.stores += 1
            return
        if self._allowed(cpu, "store", "to a tail", va, before ^ _ALL_ONES):
            shared = cpu.load_word(head) == before ^ _ALL_ONES
            self.note(shared, "a store to a writable tail", cpu, va, "the shared frame changes", "it does not")
            cpu.store_word(va, before)
            self.landed.append(va)

    def _exchange(self, cpu: Cpu, va: int) -> None:
        """A compare-and-swap that expects what is not there."""
        target, va = self.machine.target, va + self._word
        before = cpu.load_word(va)
        self.counts.exchanges += 1
        what = "that fails, of a tail"

        def exchange() -> int:
            return cpu.compare_and_swap(va, before ^ _ALL_ONES, before)

        if target.tails_fault and target.traits.compare_and_swap_needs_write:
            self._refused(cpu, "compare_and_swap", what, va, Access.ATOMIC, exchange)
            return
        try:
            found = exchange()
        except PageFault as fault:
            self.note(False, f"compare_and_swap {what}", cpu, va, "no fault", str(fault.fault))
            return
        self.note(found == before, f"compare_and_swap {what}", cpu, va, f"{before:#x}", f"{found:#x}")
        self.tell("compare_and_swap", what, cpu, f"no fault, finds {found:#x}")

    def _fetch(self, cpu: Cpu, va: int) -> None:
        self.counts.fetches += 1
        self._refused(cpu, "jump", "into the vmemmap", va, Access.EXECUTE, lambda: cpu.fetch(va))

    # what came of it

    def _allowed(self, cpu: Cpu, step: str, what: str, va: int, value: int) -> bool:
        """Store, which must be allowed, and tell whether it was."""
        self.counts.stores += 1
        try:
            cpu.store_word(va, value)
        except PageFault as fault:
            self.note(False, f"{step} {what}", cpu, va, "no fault", str(fault.fault))
            return False
        self.tell(step, what, cpu, "no fault")
        return True

    def _refused(self, cpu: Cpu, step: str, what: str, va: int, access: Access, attempt: Callable[[], object]) -> None:
        """Make an access, which must be refused with the very record that the description foretells."""
        target = self.machine.target
        foretold = target.mmu.syndrome(FaultKind.PERMISSION, access, va, 0)
        try:
            attempt()
        except PageFault as error:
            fault = error.fault
            told = dict(fault.syndrome)
            alike = all(told.get(name) == value for name, value in foretold) and fault.kind is FaultKind.PERMISSION
            self.note(alike, f"{step} {what}", cpu, va, in_words(foretold), in_words(fault.syndrome))
            self.counts.faults += alike
            self.tell(step, what, cpu, in_words(fault.syndrome))
            return
        self.note(False, f"{step} {what}", cpu, va, in_words(foretold), "no fault")

    def note(self, holds: bool, what: str, cpu: Cpu, va: int, foretold: str, seen: str) -> None:  # noqa: FBT001
        """Keep a mismatch unless ``holds``."""
        if not holds:
            self.mismatches.append(ProbeMismatch(what, cpu.index, va, foretold, seen))

    def tell(self, step: str, what: str, cpu: Cpu, word: str) -> None:
        """Keep what a CPU saw, the first time."""
        self.seen.setdefault((step, what), {}).setdefault(cpu.index, word)

    def sights(self) -> tuple[ProbeRecord, ...]:
        """What the CPUs saw first, in the order in which it was done."""
        cpus = [cpu.index for cpu in self.machine.cpus]
        return tuple(
            ProbeRecord(step, what, tuple(words.get(index, "") for index in cpus))
            for (step, what), words in self.seen.items()
        )


def in_words(syndrome: FieldValues) -> str:
    """The registers that report a fault, by name."""
    return " ".join(f"{name}={value:#x}" for name, value in syndrome)
