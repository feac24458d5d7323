# SPDX-License-Identifier: GPL-2.0-only
"""Single accesses to the vmemmap of an optimized folio, each compared with the description's prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hvolab.arch import Access, Fault, FaultKind, FieldValues, PageFault, Target
from hvolab.arithmetic import WORD_BYTES
from hvolab.invariants import Finding
from hvolab.machine import Cpu, Machine
from hvolab.serialize import Hex

#: CPUs of a machine that is verified.
CPUS = 2
_ALL_ONES = (1 << 64) - 1


@dataclass
class ProbeCounts:
    """Counts of accesses.

    huge_pages    folios that were optimized, and probed
    tails         tail pages of their vmemmap
    loads         pages of vmemmap that were read through a tail's alias, whole, on each CPU
    stores        stores to tails, and to heads
    exchanges     compare-and-swaps of tails that must not succeed
    fetches       jumps into the vmemmap
    faults        those of them that faulted, with the record that was predicted
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


@dataclass(frozen=True)
class ProbeMismatch:
    """An access whose result differs from the prediction."""

    what: str
    cpu: int
    va: Hex
    expected: str
    seen: str

    def __str__(self) -> str:
        return f"{self.what} on CPU {self.cpu} at VA {self.va:#x}: expected {self.expected}, seen {self.seen}"


@dataclass(frozen=True)
class ProbeRecord:
    """First result of one kind of access: the step, its object, and the result in words for each CPU, or empty."""

    step: str
    what: str
    cpus: list[str]


@dataclass
class Verification:
    """Result for one target.

    target      the target
    counts      counts of accesses
    mismatches  results that differ from the prediction
    findings    broken rules, declared or not
    records     first result of each kind of access, by step and object, in the order of the accesses
    """

    target: Target
    counts: ProbeCounts = field(default_factory=ProbeCounts)
    mismatches: list[ProbeMismatch] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    records: dict[tuple[str, str], ProbeRecord] = field(default_factory=dict)
    #: Is called with each first result of a kind of access on a CPU, and with each mismatch, in words.
    on_result: Callable[[str], None] = field(default=lambda _: None, metadata={"data": None})

    @property
    def as_declared(self) -> bool:
        """True without mismatches, if the description declares every finding."""
        return not self.mismatches and all(finding.declared for finding in self.findings)

    def check(self, holds: bool, what: str, cpu: Cpu, va: int, expected: str, seen: str) -> None:  # noqa: FBT001
        """Keep a mismatch unless `holds`."""
        if not holds:
            self.mismatches.append(ProbeMismatch(what, cpu.index, va, expected, seen))
            self.on_result(f"mismatch: {self.mismatches[-1]}")

    def record(self, step: str, what: str, cpu: Cpu, result: str) -> None:
        """Keep the first result of a kind of access on a CPU, in words."""
        results = self.records.setdefault((step, what), ProbeRecord(step, what, [""] * CPUS)).cpus
        if not results[cpu.index]:
            results[cpu.index] = result
            self.on_result(f"CPU{cpu.index} {step} {what}: {result}")


class Probes:
    """Probes of the folios of one machine, whose CPUs are emulated; the results go to a verification.

    written  VAs of tails that a store has changed, where the description predicts that
    """

    def __init__(self, machine: Machine, found: Verification) -> None:
        self.written: list[int] = []
        self._machine = machine
        self._target = machine.target
        self._page_size = machine.target.mode.page_size
        self._found = found
        #: Offset of a word of the struct page that holds no state.
        self._word = machine.struct_pages.layout.size - WORD_BYTES

    def probe(self, folio: int, pages: int, shared: int) -> None:
        """Probe an optimized folio with `pages` pages of vmemmap, on every CPU.

        shared  VA of the page that its tails show: the folio's own, or one in the direct map
        """
        owner = "the head's" if shared == folio else "the shared page's"
        self._found.counts.huge_pages += 1
        self._found.counts.tails += pages - 1
        for cpu in self._machine.cpus:
            content = cpu.load(shared, self._page_size)
            word = cpu.load_word(folio + self._word)
            if self._allowed(cpu, "to the head", folio + self._word, word ^ _ALL_ONES):
                cpu.store_word(folio + self._word, word)
            self._fetch(cpu, folio)
            for va in range(folio + self._page_size, folio + pages * self._page_size, self._page_size):
                self._load(cpu, va, content, owner)
                self._store(cpu, va + self._word, shared + self._word)
                self._exchange(cpu, va + self._word)
                self._fetch(cpu, va)

    def after_restore(self, folio: int, pages: int) -> None:
        """Store to every page of a restored folio, and check that each has a frame of its own."""
        vas = range(folio + self._word, folio + self._word + pages * self._page_size, self._page_size)
        for cpu in self._machine.cpus:
            before = {va: cpu.load_word(va) for va in vas}
            stored = [va for va in vas if self._allowed(cpu, "to a restored page", va, va)]
            for va in stored:  # the values differ: of two pages on one frame, one lost its own
                word = cpu.load_word(va)
                what = "a store to a restored page"
                self._found.check(word == va, what, cpu, va, f"word {va:#x}", f"word {word:#x}")
            for va in stored:
                cpu.store_word(va, before[va])

    def _load(self, cpu: Cpu, va: int, content: bytes, owner: str) -> None:
        self._found.counts.loads += 1
        same = cpu.load(va, len(content)) == content
        self._found.check(same, "a load of a tail page", cpu, va, f"{owner} bytes", "other bytes")
        self._found.record("load", "of a tail, through its alias", cpu, f"{cpu.load_word(va):#x}, {owner} word")

    def _store(self, cpu: Cpu, va: int, shared_va: int) -> None:
        before = cpu.load_word(va)
        if self._target.tails_fault:
            self._found.counts.stores += 1
            self._refused(cpu, "store", "to a tail", va, Access.WRITE, lambda: cpu.store_word(va, before ^ _ALL_ONES))
        elif self._allowed(cpu, "to a tail", va, before ^ _ALL_ONES):
            shared = cpu.load_word(shared_va) == before ^ _ALL_ONES
            what = "a store to a writable tail"
            self._found.check(shared, what, cpu, va, "the shared frame changes", "it does not")
            cpu.store_word(va, before)
            self.written.append(va)

    def _exchange(self, cpu: Cpu, va: int) -> None:
        """Try a compare-and-swap whose expected value differs from the word in memory."""
        before = cpu.load_word(va)
        found: list[int] = []
        step, what = "compare_and_swap", "that fails, of a tail"

        def exchange() -> None:
            found.append(cpu.compare_and_swap(va, before ^ _ALL_ONES, before))

        self._found.counts.exchanges += 1
        if self._target.tails_fault and self._target.traits.compare_and_swap_needs_write:
            self._refused(cpu, step, what, va, Access.ATOMIC, exchange)
        elif fault := fault_of(exchange):
            self._found.check(False, f"{step} {what}", cpu, va, "no fault", str(fault))
        else:
            self._found.check(found == [before], f"{step} {what}", cpu, va, f"{before:#x}", f"{found[0]:#x}")
            self._found.record(step, what, cpu, f"no fault, finds {found[0]:#x}")

    def _fetch(self, cpu: Cpu, va: int) -> None:
        self._found.counts.fetches += 1
        self._refused(cpu, "jump", "into the vmemmap", va, Access.EXECUTE, lambda: cpu.fetch(va))

    def _allowed(self, cpu: Cpu, what: str, va: int, value: int) -> bool:
        """Make a store that must be allowed, and return True if it was."""
        self._found.counts.stores += 1
        fault = fault_of(lambda: cpu.store_word(va, value))
        self._found.check(fault is None, f"store {what}", cpu, va, "no fault", str(fault))
        if fault is None:
            self._found.record("store", what, cpu, "no fault")
        return fault is None

    def _refused(self, cpu: Cpu, step: str, what: str, va: int, access: Access, attempt: Callable[[], object]) -> None:
        """Make an access that must fault with the syndrome that the description predicts."""
        expected = self._target.mmu.syndrome(FaultKind.PERMISSION, access, va, 0)
        fault = fault_of(attempt)
        same = (
            fault is not None
            and fault.kind is FaultKind.PERMISSION
            and dict(expected).items() <= dict(fault.syndrome).items()
        )
        reported = "no fault" if fault is None else in_words(fault.syndrome)
        self._found.check(same, f"{step} {what}", cpu, va, in_words(expected), reported)
        self._found.counts.faults += same
        if fault is not None:
            self._found.record(step, what, cpu, reported)


def fault_of(attempt: Callable[[], object]) -> Fault | None:
    """Make an access and return its fault; `None` if there was none."""
    try:
        attempt()
    except PageFault as error:
        return error.fault
    return None


def in_words(syndrome: FieldValues) -> str:
    """Return the registers that report a fault, by name."""
    return " ".join(f"{name}={value:#x}" for name, value in syndrome)
