"""Page tables in physical memory: walked one VA at a time or a range at once, and filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, Level, LinearOrigin, PgprotRole, Target
from hvolab.errors import AbsentMemoryError, EncodingError, MachineError
from hvolab.machine.memory.physical import PhysicalMemory

_WORD_SHIFT = 3


@dataclass(frozen=True, slots=True)
class WalkStep:
    """One step of a walk: the level, the PA of the slot, the entry in it and what it is."""

    level: Level
    slot: int
    raw: int
    kind: EntryKind


@dataclass(frozen=True, slots=True)
class EntryRun:
    """Consecutive entries of one table that a range of VA uses.

    va      first VA that the run covers
    level   their level
    slot    PA of the first entry
    raws    the entries, not copied
    kind    NONE, LEAF or ILLEGAL for a single entry above the last level; LEAF for a run at the last level,
            whose entries may be of any kind
    """

    va: int
    level: Level
    slot: int
    raws: npt.NDArray[np.uint64]
    kind: EntryKind


class _LevelPlan(NamedTuple):
    """What a walk needs of one level, as plain numbers."""

    shift: int
    mask: int
    table_mask: int
    table_value: int
    address_mask: int
    low: int
    physical: int
    get_address: Callable[[int], int] | None

    @classmethod
    def of(cls, target: Target, level: Level) -> _LevelPlan:
        """The plan for ``level``; the last level has no tables below it."""
        if level is target.mode.last:
            return cls(level.shift, level.entries - 1, 0, 1, 0, 0, 0, None)  # no entry matches
        form = target.mode.format.form(level.name, EntryKind.TABLE)
        (match,) = form.recognize
        part = form.address[0]
        whole = form.get_address if len(form.address) > 1 else None
        return cls(level.shift, level.entries - 1, match.mask, match.value, part.mask, part.low, part.physical, whole)


class PageTables:
    """The tables below one root, in the memory of a machine.

    memory, target  what they stand in and what they are made of
    root            PA of the root table
    """

    def __init__(self, memory: PhysicalMemory, target: Target, root: int) -> None:
        self.memory = memory
        self.target = target
        self.root = root
        self._linear = target.mode.direct_map_base - (memory.base if target.mode.origin is LinearOrigin.RAM else 0)
        self._levels = target.mode.levels
        self._last = target.mode.last
        self._plan = tuple(_LevelPlan.of(target, level) for level in self._levels)
        if any(level.entry_bytes != memory.words.itemsize for level in self._levels):
            raise MachineError("page tables whose entries are not words of eight bytes", where=str(target.mode.name))

    def virt(self, pa: int) -> int:
        """Return the VA of ``pa`` in the direct map. Kernel: __va()."""
        return pa + self._linear

    def walk(self, va: int, read: Callable[[int], int] | None = None) -> list[WalkStep]:
        """Return the steps of a walk for ``va``, up to an entry that points to no table.

        read  reads the entry at a PA; default: from memory
        Raises AbsentMemoryError for a table in memory that is absent.
        """
        steps: list[WalkStep] = []
        table, read = self.root, self.memory.read_word if read is None else read
        entry_format = self.target.mode.format
        for level in self._levels:
            slot = table + level.index(va) * level.entry_bytes
            raw = read(slot)
            kind = entry_format.classify(level.name, raw)
            steps.append(WalkStep(level, slot, raw, kind))
            if kind is not EntryKind.TABLE:
                break
            table = entry_format.form(level.name, kind).get_address(raw)
        return steps

    def find(self, va: int) -> WalkStep:
        """The step at which the walk for ``va`` ends."""
        depth, index, raw = self.descend(va)
        level = self._levels[depth]
        slot = self.memory.base + index * level.entry_bytes
        return WalkStep(level, slot, raw, self.target.mode.format.classify(level.name, raw))

    def descend(self, va: int, seen: list[int] | None = None) -> tuple[int, int, int]:
        """Where the walk for ``va`` ends: depth of the level, index of the word in memory, entry.

        The fast form of :meth:`find`, without telling what the entry is; the table entries on the way are
        appended to ``seen``.
        Raises AbsentMemoryError where a table lies in memory that is not there.
        """
        memory = self.memory
        words, base, size, present = memory.scalar, memory.base, memory.size, memory.present
        pa = self.root
        depth = 0
        for shift, mask, table_mask, table_value, address_mask, low, physical, get_address in self._plan:
            offset = pa - base
            if not 0 <= offset < size or (present is not None and not present[offset >> memory.page_shift]):
                memory.offset(pa)
            index = (offset >> _WORD_SHIFT) + ((va >> shift) & mask)
            raw = words[index]
            if raw & table_mask != table_value:
                break
            pa = (raw & address_mask) >> low << physical if get_address is None else get_address(raw)
            if seen is not None:
                seen.append(raw)
            depth += 1
        return depth, index, raw

    def frame_of(self, va: int) -> int | None:
        """PFN that ``va`` is mapped to, or ``None``."""
        step = self.find(va)
        if step.kind is not EntryKind.LEAF:
            return None
        return self._leaf_pa(step, va) >> self.target.mode.page_shift

    def _leaf_pa(self, step: WalkStep, va: int) -> int:
        form = self.target.mode.format.form(step.level.name, EntryKind.LEAF)
        return form.get_address(step.raw) + (va & (step.level.size - 1))

    def runs(self, start: int, end: int) -> Iterator[EntryRun]:
        """The entries that map ``[start, end)``, as runs within one table each, in order of VA.

        Above the last level a run is one entry; at the last level it is all that one table holds of the range.
        """
        va = start
        while va < end:
            depth, index, raw = self.descend(va)
            level = self._levels[depth]
            slot = self.memory.base + (index << _WORD_SHIFT)
            if level is not self._last:
                kind = self.target.mode.format.classify(level.name, raw)
                yield EntryRun(va, level, slot, self.memory.words[index : index + 1], kind)
                va = (va // level.size + 1) * level.size
                continue
            count = self._last.entries - self._last.index(va)
            count = min(count, (end - va + self._last.size - 1) >> self._last.shift)
            yield EntryRun(va, level, slot, self.memory.words[index : index + count], EntryKind.LEAF)
            va = ((va >> self._last.shift) + count) << self._last.shift

    def frames(self, start: int, pages: int) -> npt.NDArray[np.int64]:
        """PFNs that ``pages`` consecutive pages from ``start`` on are mapped to, -1 where a page is not mapped."""
        mode = self.target.mode
        found = np.empty(pages, dtype=np.int64)
        done = 0
        for run in self.runs(start, start + (pages << mode.page_shift)):
            if run.level is self._last:
                count = run.raws.size
                frames = self.target.page_frames(run.raws)
                found[done : done + count] = np.where(mode.format.is_valid(self._last.name, run.raws), frames, -1)
            else:
                inside = (run.va & (run.level.size - 1)) >> mode.page_shift
                count = min(pages - done, (run.level.size >> mode.page_shift) - inside)
                if run.kind is EntryKind.LEAF:
                    form = mode.format.form(run.level.name, EntryKind.LEAF)
                    first = (form.get_address(int(run.raws[0])) >> mode.page_shift) + inside
                    found[done : done + count] = np.arange(first, first + count)
                else:
                    found[done : done + count] = -1
            done += count
        return found

    def map_leaf(self, va: int, pfn: int, level_name: str, role: PgprotRole, new_table: Callable[[Level], int]) -> None:
        """Map ``va`` by one leaf at ``level_name``; ``new_table`` gives the PA of a zeroed table for a level."""
        slot = self._slot(va, level_name, new_table)
        self.memory.write_word(slot, self.target.leaf(level_name, pfn, role))

    def map_leaves(
        self, va: int, pfn: int, count: int, level_name: str, role: PgprotRole, new_table: Callable[[Level], int]
    ) -> None:
        """Map ``count`` leaves side by side, from ``va`` on, to frames side by side from ``pfn`` on."""
        level = self.target.mode.level(level_name)
        frames = level.size >> self.target.mode.page_shift
        while count:
            here = min(count, level.entries - level.index(va))
            pfns = np.arange(pfn, pfn + here * frames, frames, dtype=np.int64)
            slot = self._slot(va, level_name, new_table)
            self.memory.word_view(slot, here)[:] = self.target.leaves(level_name, pfns, role)
            va, pfn, count = va + here * level.size, pfn + here * frames, count - here

    def _slot(self, va: int, level_name: str, new_table: Callable[[Level], int]) -> int:
        """PA of the entry for ``va`` at a level; tables that are missing above it are made."""
        table = self.root
        entry_format = self.target.mode.format
        for depth, level in enumerate(self._levels):
            slot = table + level.index(va) * level.entry_bytes
            if level.name == level_name:
                break
            raw = self.memory.read_word(slot)
            kind = entry_format.classify(level.name, raw)
            if kind is EntryKind.NONE:
                pa = new_table(self._levels[depth + 1])
                raw = self.target.table(level.name, pa >> self.target.mode.page_shift)
                self.memory.write_word(slot, raw)
            elif kind is not EntryKind.TABLE:
                raise MachineError(
                    f"VA {va:#x} is already mapped above level {level_name}",
                    where=f"level {level.name}, entry {self.target.describe(level.name, raw)}",
                )
            table = entry_format.form(level.name, EntryKind.TABLE).get_address(raw)
        return slot

    def describe(self, va: int) -> str:
        """The walk for ``va`` in one line, for messages."""
        try:
            return " -> ".join(
                f"{step.level.name} {self.target.describe(step.level.name, step.raw)}" for step in self.walk(va)
            )
        except (AbsentMemoryError, EncodingError) as error:
            return str(error)
