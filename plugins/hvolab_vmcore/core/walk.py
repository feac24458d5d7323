"""All page tables below one root that map a range of VA, level by level, as arrays: no Python for single entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryForm, EntryKind, Level, Target
from hvolab.errors import CoreFileError
from hvolab.machine import PageTables, PhysicalMemory

Ints = npt.NDArray[np.int64]
Raws = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
_WORD = 8


@dataclass(frozen=True, eq=False)
class LevelTables:
    """The tables of one level, in order of VA; n tables of e entries.

    level           the level
    offsets         VA that each table's first entry maps, less the walk's origin, shape (n,)
    pas             PA of each table, shape (n,)
    parents, slots  index of the table above it and of the entry there, shape (n,)
    raws            the entries, a copy, shape (n, e)
    inside          which of them map VAs of the range, shape (n, e)
    table, leaf     which of those point to a table, map memory; shape (n, e)
    illegal         which of those are valid but of no form, or set what is reserved; shape (n, e)
    """

    level: Level
    offsets: Ints
    pas: Ints
    parents: Ints
    slots: Ints
    raws: Raws
    inside: Flags
    table: Flags
    leaf: Flags
    illegal: Flags


@dataclass(frozen=True)
class AbsentTable:
    """A table that the core does not hold: the entry that points there, its level, first VA, and the table's PA."""

    level: Level
    va: int
    raw: int
    pa: int


@dataclass(frozen=True, eq=False)
class Walk:
    """What a walk met.

    target  what the entries are made of
    origin  VA that offset 0 stands for
    levels  the tables, from the root's level to the last; a level without tables has empty arrays
    absent  tables that are pointed to and not there
    """

    target: Target
    origin: int
    levels: tuple[LevelTables, ...]
    absent: tuple[AbsentTable, ...]

    def path(self, depth: int, index: int) -> tuple[int, ...]:
        """The table entries from the root down to the table of that index at that depth."""
        raws: list[int] = []
        while depth:
            tables = self.levels[depth]
            parent, slot = int(tables.parents[index]), int(tables.slots[index])
            depth, index = depth - 1, parent
            raws.append(int(self.levels[depth].raws[parent, slot]))
        return tuple(reversed(raws))


def walk_tables(tables: PageTables, start: int, end: int, *, physical_bits: int | None = None) -> Walk:
    """Walk everything below ``tables.root`` that maps VAs of ``[start, end)`` and is there.

    physical_bits: width of the PAs that the machine may have, by default the mode's.
    Raises CoreFileError for a table that is reached twice (a loop), and for one beyond that width.
    """
    target, memory = tables.target, tables.memory
    mode = target.mode
    covered = 1 << (mode.levels[0].shift + mode.levels[0].bits)
    origin = start & ~(covered - 1)
    span = (start - origin, min(end - origin, covered))
    limit = 1 << (mode.pa_bits if physical_bits is None else min(physical_bits, mode.pa_bits))
    zero = np.zeros(1, dtype=np.int64)
    offsets, pas, parents, slots = zero, np.array([tables.root], dtype=np.int64), zero, zero
    seen = pas
    levels: list[LevelTables] = []
    absent: list[AbsentTable] = []
    for level in mode.levels:
        here = _read(target, memory, level, (offsets, pas, parents, slots), span)
        levels.append(here)
        if level is mode.last:
            break
        parents, slots = np.nonzero(here.table)
        raws = here.raws[parents, slots]
        offsets = here.offsets[parents] + (slots << level.shift)
        form = mode.format.form(level.name, EntryKind.TABLE)
        children = form.get_address(raws)
        _refuse_outside(target, level, origin, limit, (offsets, raws, children))
        pas = children.astype(np.int64)
        below = mode.levels[len(levels)]
        there = _held(memory, pas, below.table_bytes)
        absent += [
            AbsentTable(level, origin + int(offset), int(raw), int(pa))
            for offset, raw, pa in zip(offsets[~there], raws[~there], pas[~there], strict=True)
        ]
        offsets, pas, parents, slots = offsets[there], pas[there], parents[there], slots[there]
        seen = np.concatenate((seen, pas))
        _refuse_loop(level, origin, seen, offsets, pas)
    return Walk(target, origin, tuple(levels), tuple(absent))


def _held(memory: PhysicalMemory, pas: Ints, size: int) -> Flags:
    """Which of the ranges of ``size`` bytes at ``pas``, each in one frame or a whole number of them, are there."""
    held = np.ones(pas.size, dtype=np.bool_)
    for step in range(0, size, 1 << memory.page_shift):
        frames = (pas + step - memory.base) >> memory.page_shift
        inside = (frames >= 0) & (frames < memory.frames)
        held &= inside
        if memory.present is not None:
            held[inside] &= memory.present[frames[inside]]
    return held


def _read(
    target: Target, memory: PhysicalMemory, level: Level, where: tuple[Ints, Ints, Ints, Ints], span: tuple[int, int]
) -> LevelTables:
    """The tables of a level, and what their entries are."""
    offsets, pas, parents, slots = where
    entries = np.arange(level.entries, dtype=np.int64)
    raws: Raws = memory.words[(pas[:, None] - memory.base) // _WORD + entries].astype(np.uint64)
    vas = offsets[:, None] + (entries << level.shift)
    inside = (vas < span[1]) & (vas + level.size > span[0])
    valid = np.asarray(target.mode.format.is_valid(level.name, raws)) & inside
    kinds = {EntryKind.TABLE: np.zeros_like(valid), EntryKind.LEAF: np.zeros_like(valid)}
    broken = np.zeros_like(valid)
    free = valid
    for form in _forms(target, level):
        mine = np.zeros_like(valid)
        for match in form.recognize:
            mine |= np.asarray(match.accepts(raws))
        mine &= free
        free = free & ~mine
        kinds[form.kind] |= mine
        wrong = (raws & np.uint64(form.reserved_mask(target.mode.format.entry_bits))) != 0
        for rule in form.rules:
            wrong |= np.asarray(rule.broken_by.accepts(raws))
        broken |= mine & wrong
    table, leaf = kinds[EntryKind.TABLE] & ~broken, kinds[EntryKind.LEAF] & ~broken
    return LevelTables(level, offsets, pas, parents, slots, raws, inside, table, leaf, broken | free)


def _forms(target: Target, level: Level) -> Iterator[EntryForm]:
    """The forms that entries of a level may have, as the format tells them apart."""
    return (form for form in target.mode.format.forms if level.name in form.levels)


def _refuse_outside(target: Target, level: Level, origin: int, limit: int, found: tuple[Ints, Raws, Raws]) -> None:
    """Refuse a table entry that points beyond the physical memory that the machine may have."""
    offsets, raws, children = found
    beyond = np.flatnonzero(children >= np.uint64(limit))
    if beyond.size:
        first = int(beyond[0])
        raise CoreFileError(
            f"a page table points outside: to PA {int(children[first]):#x}",
            where=f"VA {origin + int(offsets[first]):#x}, {target.describe(level.name, int(raws[first]))}",
            rule=f"physical memory ends below PA {limit:#x} (MAX_PHYSMEM_BITS, or the width of the paging mode)",
            hint="the core is damaged, or --root, --mode or --arch is not its kernel's",
        )


def _refuse_loop(level: Level, origin: int, seen: Ints, offsets: Ints, pas: Ints) -> None:
    """Refuse a table that another entry has led to already."""
    tables, counts = np.unique(seen, return_counts=True)
    twice = tables[counts > 1]
    if twice.size:
        pa = int(twice[0])
        raise CoreFileError(
            f"the page tables loop: two entries lead to the table at PA {pa:#x}",
            where=f"one of them maps VA {origin + int(offsets[pas == pa][-1]):#x} at level {level.name}",
            rule="a table of the vmemmap has one place",
            hint="the core is damaged, or --root, --mode or --arch is not its kernel's",
        )
