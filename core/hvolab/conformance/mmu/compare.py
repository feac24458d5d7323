"""Carries out accesses on two CPUs, and compares what each reports, loads, stores and changes in the tables."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from hvolab.arch import Access, FieldValues, PageFault, WalkLimit
from hvolab.conformance.mmu.enumerate import ACCESSES, AccessCase
from hvolab.conformance.mmu.lab import Lab
from hvolab.errors import AbsentMemoryError
from hvolab.machine import Cpu, ModelCpu, PageTables

_BEFORE, _STORED = 0x1122334455667788, 0x99AABBCCDDEEFF00


class AccessOutcome(NamedTuple):
    """What became of an access.

    syndrome  what was reported; empty: there was no fault
    loaded    the word that was read; ``None``: none was
    word      what is in memory afterwards
    entries   what is in the tables afterwards
    """

    syndrome: FieldValues
    loaded: int | None
    word: int
    entries: tuple[int, ...]

    def __str__(self) -> str:
        told = " ".join(f"{name}={value:#x}" for name, value in self.syndrome)
        done = f"faults ({told})" if told else f"done, the word is {self.word:#x}"
        return f"{done}, entries {', '.join(f'{raw:#x}' for raw in self.entries)}"


@dataclass(frozen=True)
class AccessMismatch:
    """A case in which the CPU did otherwise than the description foretells, and than its declared limits do."""

    case: AccessCase
    access: Access
    foretold: AccessOutcome
    seen: AccessOutcome

    def __str__(self) -> str:
        entries = ", ".join(f"{raw:#018x}" for raw in self.case.entries)
        access = (self.access.name or "").lower()
        return (
            f"{access} through {entries} (level {self.case.depth} varied): foretold {self.foretold}; seen {self.seen}"
        )


@dataclass
class AccessComparison:
    """What was compared.

    cases       accesses that were made
    faults      how many of them faulted, as foretold
    explained   by the reason of each declared limit, how many accesses it explains
    mismatches  the others that came out otherwise
    """

    cases: int = 0
    faults: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    mismatches: list[AccessMismatch] = field(default_factory=list)


class _Subject:
    """One CPU in the lab, and how it makes an access.

    forget       ends what it has cached of the word's page
    loads_first  whether an atomic operation begins with a load
    """

    def __init__(self, lab: Lab, cpu: Cpu, forget: Callable[[], None], *, loads_first: bool = False) -> None:
        self._forget = forget
        self._load = functools.partial(cpu.load_word, lab.va)
        self._loads_first = loads_first
        self._accesses: dict[Access, Callable[[], int | None]] = {
            Access.READ: lambda: cpu.load_word(lab.va),
            Access.WRITE: lambda: cpu.store_word(lab.va, _STORED),
            Access.EXECUTE: lambda: cpu.fetch(lab.va),
            Access.ATOMIC: lambda: cpu.compare_and_swap(lab.va, _BEFORE, _STORED),
        }
        memory = lab.machine.memory
        self._scalar = memory.scalar
        self._indices = [memory.offset(slot, 8) // 8 for slot in lab.slots]
        self._word = memory.offset(lab.pa, 8) // 8

    def outcome(self, entries: Sequence[int], access: Access) -> AccessOutcome:
        """Make the access through these entries."""
        scalar, indices = self._scalar, self._indices
        for index, raw in zip(indices, entries, strict=True):
            scalar[index] = raw
        scalar[self._word] = _BEFORE
        syndrome: FieldValues = ()
        loaded = None
        cached = True
        try:
            if self._loads_first and access is Access.ATOMIC:
                self._load()
            loaded = self._accesses[access]()
        except PageFault as fault:
            syndrome = fault.fault.syndrome
            cached = access is Access.ATOMIC  # the load of one may have been allowed
        except AbsentMemoryError:
            syndrome = (("absent", 1),)
        if cached:
            self._forget()
        return AccessOutcome(syndrome, loaded, scalar[self._word], tuple(scalar[index] for index in indices))


def compare_walks(
    lab: Lab, cpu: Cpu, chosen: Iterable[AccessCase], limits: Sequence[WalkLimit], accesses: Sequence[Access] = ACCESSES
) -> AccessComparison:
    """Make each access of each case on ``cpu`` and on the model.

    limits  what the CPU is declared to do otherwise than the architecture
    """
    page = lab.target.mode.page_size
    start = lab.va & -page
    subject = _Subject(lab, cpu, lambda: cpu.flush_range(start, start + page))
    model, explanations = _model(lab, ()), _Explanations(lab, limits)
    found = AccessComparison()
    for case in chosen:
        for access in accesses:
            found.cases += 1
            seen, foretold = subject.outcome(case.entries, access), model.outcome(case.entries, access)
            if _alike(foretold, seen):
                found.faults += bool(foretold.syndrome)
            elif reason := explanations.reason(case, access, seen):
                found.explained[reason] += 1
            else:
                found.mismatches.append(AccessMismatch(case, access, foretold, seen))
    return found


class _Explanations:
    """Which declared limits of a CPU explain what it did: the fewest of them that foretell it."""

    def __init__(self, lab: Lab, limits: Sequence[WalkLimit]) -> None:
        self._tried: list[tuple[str, _Subject, int]] = []
        for number in range(1, len(limits) + 1):
            for some in combinations(limits, number):
                flags = _accessed_flags(lab) if any(limit.flags_on_fault for limit in some) else 0
                self._tried.append(("; ".join(limit.reason for limit in some), _model(lab, some), flags))
        #: What explained an access before, by level, access and the bits that limits look at: it is tried first.
        self._known: dict[tuple[int, Access, int], int] = {}
        self._mask = _accessed_flags(lab)
        for limit in limits:
            for _, mask in limit.ignored:
                self._mask |= mask
            for _, part in limit.widened:
                self._mask |= part.mask
        if lab.target.mmu.dirty is not None:
            self._mask |= lab.target.mmu.dirty.mask

    def reason(self, case: AccessCase, access: Access, seen: AccessOutcome) -> str:
        """The reasons of the limits that explain the outcome; empty where none do."""
        key = (case.depth, access, case.raw & self._mask)
        known = self._known.get(key)
        order = range(len(self._tried)) if known is None else (known, *range(len(self._tried)))
        for number in order:
            reason, model, flags = self._tried[number]
            if _alike(model.outcome(case.entries, access), seen, flags):
                self._known[key] = number
                return reason
        return ""


def _model(lab: Lab, limits: Sequence[WalkLimit]) -> _Subject:
    """The model, as the architecture has it or with what a CPU does otherwise."""
    target, machine = lab.target, lab.machine
    for limit in limits:
        target = limit.applied(target)
    tables = machine.tables if not limits else PageTables(machine.memory, target, machine.tables.root)
    cpu = ModelCpu(machine.cpus[0].index, machine.memory, tables, machine.trace)
    return _Subject(lab, cpu, cpu.flush_all, loads_first=any(limit.loads_first for limit in limits))


def _accessed_flags(lab: Lab) -> int:
    """The bits of the accessed flags of entries."""
    mmu = lab.target.mmu
    mask = 0
    for flag in (mmu.accessed, mmu.table_accessed):
        mask |= 0 if flag is None else flag.mask
    return mask


def _alike(foretold: AccessOutcome, seen: AccessOutcome, flags: int = 0) -> bool:
    """Whether a CPU did what was foretold; it may report more registers than the description has.

    flags  bits that it may have set in entries through which an access was refused
    """
    told = dict(seen.syndrome)
    if bool(foretold.syndrome) != bool(seen.syndrome):
        return False
    if any(told.get(name) != value for name, value in foretold.syndrome):
        return False
    if flags and seen.syndrome:
        before, after = ([raw | flags for raw in outcome.entries] for outcome in (foretold, seen))
        return before == after and foretold.word == seen.word
    return foretold[1:] == seen[1:]
