# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of accesses on two CPUs: reports, loads, stores, and changes in the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from hvolab.arch import Access, FieldValues, PageFault, WalkLimit
from hvolab.arithmetic import WORD_BYTES
from hvolab.conformance.mmu.enumerate import ACCESSES, AccessCase
from hvolab.conformance.mmu.lab import Lab
from hvolab.conformance.queries import bits_of
from hvolab.errors import AbsentMemoryError
from hvolab.machine import Cpu, ModelCpu, PageTables

_BEFORE, _STORED = 0x1122334455667788, 0x99AABBCCDDEEFF00


class AccessOutcome(NamedTuple):
    """Outcome of an access.

    syndrome  registers that report a fault; empty: there was none
    loaded    word that was loaded; `None`: none
    word      word in memory afterwards
    entries   entries in the tables afterwards
    """

    syndrome: FieldValues
    loaded: int | None
    word: int
    entries: tuple[int, ...]

    def __str__(self) -> str:
        registers = " ".join(f"{name}={value:#x}" for name, value in self.syndrome)
        done = f"faults ({registers})" if registers else f"done, the word is {self.word:#x}"
        return f"{done}, entries {', '.join(f'{raw:#x}' for raw in self.entries)}"


@dataclass(frozen=True)
class AccessMismatch:
    """A case in which the CPU matches neither the description nor its declared limits."""

    case: AccessCase
    access: Access
    expected: AccessOutcome
    seen: AccessOutcome

    def __str__(self) -> str:
        entries = ", ".join(f"{raw:#018x}" for raw in self.case.entries)
        access = (self.access.name or "").lower()
        return (
            f"{access} through {entries} (level {self.case.depth} varied): expected {self.expected}; seen {self.seen}"
        )


@dataclass
class AccessComparison:
    """Result of a comparison.

    cases       accesses that were made
    faults      those of them that faulted as predicted
    explained   by the reason of each declared limit, the accesses that it explains
    mismatches  the other accesses that differ
    """

    cases: int = 0
    faults: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    mismatches: list[AccessMismatch] = field(default_factory=list)


class _LabCpu:
    """One CPU in the lab, and its accesses to the word.

    flush        drops the translations of the word's page
    loads_first  True if an atomic operation begins with a load
    """

    def __init__(self, lab: Lab, cpu: Cpu, flush: Callable[[], None], *, loads_first: bool = False) -> None:
        self._flush = flush
        self._loads_first = loads_first
        self._accesses: dict[Access, Callable[[], int | None]] = {
            Access.READ: lambda: cpu.load_word(lab.va),
            Access.WRITE: lambda: cpu.store_word(lab.va, _STORED),
            Access.EXECUTE: lambda: cpu.fetch(lab.va),
            Access.ATOMIC: lambda: cpu.compare_and_swap(lab.va, _BEFORE, _STORED),
        }
        memory = lab.machine.memory
        self._words, self._entries = memory.scalar, memory.entry_scalar
        self._indices = [memory.offset(slot, WORD_BYTES) // WORD_BYTES for slot in lab.slots]
        self._word = memory.offset(lab.pa, WORD_BYTES) // WORD_BYTES

    def outcome(self, entries: Sequence[int], access: Access) -> AccessOutcome:
        """Make the access through these entries."""
        slots, indices = self._entries, self._indices
        for index, raw in zip(indices, entries, strict=True):
            slots[index] = raw
        self._words[self._word] = _BEFORE
        syndrome: FieldValues = ()
        loaded = None
        cached = True
        try:
            if self._loads_first and access is Access.ATOMIC:
                self._accesses[Access.READ]()
            loaded = self._accesses[access]()
        except PageFault as fault:
            syndrome = fault.fault.syndrome
            cached = access is Access.ATOMIC  # its load may have been allowed
        except AbsentMemoryError:
            syndrome = (("absent", 1),)
        if cached:
            self._flush()
        return AccessOutcome(syndrome, loaded, self._words[self._word], tuple(slots[index] for index in indices))


def compare_walks(
    lab: Lab, cpu: Cpu, chosen: Iterable[AccessCase], limits: Sequence[WalkLimit], accesses: Sequence[Access] = ACCESSES
) -> AccessComparison:
    """Make each access of each case on `cpu` and on the model.

    limits  declared differences between the CPU and the architecture
    """
    page = lab.target.mode.page_size
    start = lab.va & -page
    tested = _LabCpu(lab, cpu, lambda: cpu.flush_range(start, start + page))
    model, explanations = _model(lab, ()), _Explanations(lab, limits)
    found = AccessComparison()
    for case in chosen:
        for access in accesses:
            found.cases += 1
            seen, expected = tested.outcome(case.entries, access), model.outcome(case.entries, access)
            if _matches(expected, seen):
                found.faults += bool(expected.syndrome)
            elif reason := explanations.reason(case, access, seen):
                found.explained[reason] += 1
            else:
                found.mismatches.append(AccessMismatch(case, access, expected, seen))
    return found


class _Explanations:
    """Search for the declared limits of a CPU that explain an outcome: the fewest of them that predict it."""

    def __init__(self, lab: Lab, limits: Sequence[WalkLimit]) -> None:
        flags = bits_of((lab.target.mmu.accessed, lab.target.mmu.table_accessed))
        self._tried: list[tuple[str, _LabCpu, int]] = [
            (
                "; ".join(limit.reason for limit in some),
                _model(lab, some),
                flags if any(limit.flags_on_fault for limit in some) else 0,
            )
            for number in range(1, len(limits) + 1)
            for some in combinations(limits, number)
        ]
        #: Index of the explanation of an earlier access with the same level, access and relevant bits: tried first.
        self._known: dict[tuple[int, Access, int], int] = {}
        self._mask = flags | bits_of((lab.target.mmu.dirty,))
        for limit in limits:
            for mask in (*(mask for _, mask in limit.ignored), *(part.mask for _, part in limit.widened)):
                self._mask |= mask

    def reason(self, case: AccessCase, access: Access, seen: AccessOutcome) -> str:
        """Return the reasons of the limits that explain the outcome; empty if none do."""
        key = (case.depth, access, case.raw & self._mask)
        known = self._known.get(key)
        order = range(len(self._tried)) if known is None else (known, *range(len(self._tried)))
        for number in order:
            reason, model, flags = self._tried[number]
            if _matches(model.outcome(case.entries, access), seen, flags):
                self._known[key] = number
                return reason
        return ""


def _model(lab: Lab, limits: Sequence[WalkLimit]) -> _LabCpu:
    """Return the model of the architecture, or of a CPU with these limits."""
    target, machine = lab.target, lab.machine
    for limit in limits:
        target = limit.applied(target)
    tables = PageTables(machine.memory, target, machine.tables.root) if limits else machine.tables
    cpu = ModelCpu(machine.cpus[0].index, machine.memory, tables, machine.trace)
    return _LabCpu(lab, cpu, cpu.flush_all, loads_first=any(limit.loads_first for limit in limits))


def _matches(expected: AccessOutcome, seen: AccessOutcome, flags: int = 0) -> bool:
    """Return True for an outcome as expected; the syndrome may have more registers.

    flags  bits that may be set in entries through which an access was refused
    """
    if bool(expected.syndrome) != bool(seen.syndrome):
        return False
    if not dict(expected.syndrome).items() <= dict(seen.syndrome).items():
        return False
    if flags and seen.syndrome:
        before, after = ([raw | flags for raw in outcome.entries] for outcome in (expected, seen))
        return before == after and expected.word == seen.word
    return expected[1:] == seen[1:]
