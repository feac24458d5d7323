# SPDX-License-Identifier: GPL-2.0-only
"""Walk of all page tables that map a range of VA, level by level, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, Level, Target
from hvolab.arithmetic import WORD_BYTES
from hvolab.arrays import chunks
from hvolab.errors import CoreFileError
from hvolab.machine import FrameState, PageTables, PhysicalMemory
from hvolab_vmcore.core.memory import Flags, Ints, Words

#: Hint of errors about page tables that make no sense.
DAMAGED = "the core is damaged, or --root, --mode or --arch is not its kernel's"

#: Tables whose entries are decoded at once; more would not stay in a CPU's caches.
AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class LevelTables:
    """Tables of one level, in order of VA; n tables of e entries.

    level           the level
    offsets         VA that each table's first entry maps, less the walk's origin, shape (n,)
    pas             PA of each table, shape (n,)
    parents, slots  index of the table above it and of the entry there, shape (n,)
    raws            the entries, a copy, shape (n, e)
    inside          flags: the entry maps VAs of the range, shape (n, e)
    table, leaf     flags: it is inside and points to a table, maps memory; shape (n, e)
    illegal         flags: it is inside and valid, but of no known form or with reserved bits set; shape (n, e)
    """

    level: Level
    offsets: Ints
    pas: Ints
    parents: Ints
    slots: Ints
    raws: Words
    inside: Flags
    table: Flags
    leaf: Flags
    illegal: Flags


@dataclass(frozen=True)
class AbsentTable:
    """Page table that the core does not hold.

    level  level of the entry that points to it
    va     first VA that this entry maps
    raw    this entry
    pa     PA of the table
    state  ABSENT or NOT_SAVED
    """

    level: Level
    va: int
    raw: int
    pa: int
    state: FrameState = FrameState.ABSENT


@dataclass(frozen=True, eq=False)
class Walk:
    """Page tables that a walk read.

    target  architecture, mode and features by which entries were decoded
    origin  VA of offset 0
    levels  the tables, from the root's level to the last; a level without tables has empty arrays
    absent  tables that an entry points to and the core does not hold
    """

    target: Target
    origin: int
    levels: tuple[LevelTables, ...]
    absent: tuple[AbsentTable, ...]

    def path(self, depth: int, index: int) -> tuple[int, ...]:
        """Return the table entries from the root down to the table of that index at that depth."""
        raws: list[int] = []
        while depth:
            tables = self.levels[depth]
            parent, slot = int(tables.parents[index]), int(tables.slots[index])
            depth, index = depth - 1, parent
            raws.append(int(self.levels[depth].raws[parent, slot]))
        return tuple(reversed(raws))

    def path_kinds(self, depth: int) -> Ints:
        """Return a number for each table at that depth: tables of one number have paths that differ in addresses only.

        The paths are the entries that :meth:`path` returns.
        """
        kinds = np.zeros(self.levels[0].pas.size, dtype=np.int64)
        for above, tables in pairwise(self.levels[: depth + 1]):
            mask = self.target.mode.format.form(above.level.name, EntryKind.TABLE).address_mask
            _, bits = np.unique(above.raws[tables.parents, tables.slots] & ~np.uint64(mask), return_inverse=True)
            _, kinds = np.unique(kinds[tables.parents] * tables.pas.size + bits, return_inverse=True)
        return kinds


def walk_tables(tables: PageTables, start: int, end: int, *, physical_bits: int | None = None) -> Walk:
    """Walk all tables below ``tables.root`` that map VAs of ``[start, end)`` and that the memory holds.

    physical_bits  bits of a PA, by default the mode's
    Raises CoreFileError for a table that is reached twice (a loop), and for one above the last PA.
    """
    target, memory = tables.target, tables.memory
    mode = target.mode
    covered = 1 << (mode.levels[0].shift + mode.levels[0].bits)
    origin = start & ~(covered - 1)
    span = (start - origin, min(end - origin, covered))
    limit = 1 << (mode.pa_bits if physical_bits is None else min(physical_bits, mode.pa_bits))
    zero = np.zeros(1, dtype=np.int64)
    offsets, pas, parents, slots = zero, np.array([tables.root], dtype=np.int64), zero, zero
    visited = pas
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
        states = _table_states(memory, pas, below.table_bytes)
        there = states >= FrameState.ZERO
        absent += [
            AbsentTable(level, origin + int(offset), int(raw), int(pa), FrameState(int(state)))
            for offset, raw, pa, state in zip(offsets[~there], raws[~there], pas[~there], states[~there], strict=True)
        ]
        offsets, pas, parents, slots = offsets[there], pas[there], parents[there], slots[there]
        visited = np.concatenate((visited, pas))
        _refuse_loop(level, origin, visited, offsets, pas)
    return Walk(target, origin, tuple(levels), tuple(absent))


def _table_states(memory: PhysicalMemory, pas: Ints, size: int) -> npt.NDArray[np.uint8]:
    """Return the FrameState of each table of ``size`` bytes: the lowest of those of all frames that it occupies."""
    lowest = memory.states(pas >> memory.page_shift)
    for step in range(1 << memory.page_shift, size, 1 << memory.page_shift):
        lowest = np.minimum(lowest, memory.states(pas + step >> memory.page_shift))
    return lowest


def _tables(memory: PhysicalMemory, pas: Ints, level: Level) -> Words:
    """Return a copy of the entries of tables, shape (n, entries); one may be a part of a frame, or several frames."""
    page, words = 1 << memory.page_shift, level.table_bytes // WORD_BYTES
    if level.table_bytes < page:
        frames = memory.peek_entries(pas >> memory.page_shift, page // WORD_BYTES)
        found: Words = frames[np.arange(pas.size)[:, None], (pas % page // WORD_BYTES)[:, None] + np.arange(words)]
        return found
    if level.table_bytes == page:
        return memory.peek_entries(pas >> memory.page_shift, words)
    steps = range(0, level.table_bytes, page)
    return np.hstack([memory.peek_entries(pas + step >> memory.page_shift, page // WORD_BYTES) for step in steps])


def _read(
    target: Target, memory: PhysicalMemory, level: Level, where: tuple[Ints, Ints, Ints, Ints], span: tuple[int, int]
) -> LevelTables:
    """Return the tables of one level, with their entries classified."""
    offsets, pas, parents, slots = where
    raws = _tables(memory, pas, level).astype(np.uint64, copy=False)
    inside: Flags = np.broadcast_to(np.True_, raws.shape)
    partly = np.flatnonzero((offsets < span[0]) | (offsets + (level.entries << level.shift) > span[1]))
    if partly.size:
        inside = inside.copy()
        vas = offsets[partly, None] + (np.arange(level.entries, dtype=np.int64) << level.shift)
        inside[partly] = (vas < span[1]) & (vas + level.size > span[0])
    table, leaf, illegal = (np.empty(raws.shape, dtype=np.bool_) for _ in range(3))
    for some in chunks(pas.size, AT_ONCE):
        table[some], leaf[some], illegal[some] = _classified(target, level, raws[some], inside[some])
    return LevelTables(level, offsets, pas, parents, slots, raws, inside, table, leaf, illegal)


def _classified(target: Target, level: Level, raws: Words, inside: Flags) -> tuple[Flags, Flags, Flags]:
    """Return three flags for each entry: it is inside and points to a table, maps memory, or is not legal."""
    valid = np.asarray(target.mode.format.is_valid(level.name, raws)) & inside
    kinds = {EntryKind.TABLE: np.zeros_like(valid), EntryKind.LEAF: np.zeros_like(valid)}
    broken = np.zeros_like(valid)
    free = valid
    for form in (one for one in target.mode.format.forms if level.name in one.levels):
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
    return kinds[EntryKind.TABLE] & ~broken, kinds[EntryKind.LEAF] & ~broken, broken | free


def _refuse_outside(target: Target, level: Level, origin: int, limit: int, found: tuple[Ints, Words, Words]) -> None:
    """Raise CoreFileError for a table entry that points above the last PA."""
    offsets, raws, children = found
    for first in np.flatnonzero(children >= np.uint64(limit))[:1].tolist():
        raise CoreFileError(
            f"a page table points outside: to PA {int(children[first]):#x}",
            where=f"VA {origin + int(offsets[first]):#x}, {target.describe(level.name, int(raws[first]))}",
            rule=f"physical memory ends below PA {limit:#x} (MAX_PHYSMEM_BITS, or the width of the paging mode)",
            hint=DAMAGED,
        )


def _refuse_loop(level: Level, origin: int, visited: Ints, offsets: Ints, pas: Ints) -> None:
    """Raise CoreFileError for a table that two entries point to."""
    tables, counts = np.unique(visited, return_counts=True)
    for pa in tables[counts > 1][:1].tolist():
        raise CoreFileError(
            f"the page tables loop: two entries lead to the table at PA {pa:#x}",
            where=f"one of them maps VA {origin + int(offsets[pas == pa][-1]):#x} at level {level.name}",
            rule="one entry points to each table of the vmemmap",
            hint=DAMAGED,
        )
