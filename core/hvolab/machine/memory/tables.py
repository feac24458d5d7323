# SPDX-License-Identifier: GPL-2.0-only
"""Page tables in physical memory: walked for one VA or a range, and filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, Level, LinearOrigin, PgprotRole, Target
from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT, div_round_up
from hvolab.errors import AbsentMemoryError, EncodingError, MachineError
from hvolab.machine.memory.physical import PhysicalMemory

#: Makes a table of empty entries for a level; returns its PA.
NewTable = Callable[[Level], int]


class WalkStep(NamedTuple):
    """One step of a walk: the level, the PA of the slot, the entry in it and its kind."""

    level: Level
    slot: int
    raw: int
    kind: EntryKind


@dataclass(frozen=True, slots=True)
class EntryRun:
    """Consecutive entries of one table that map part of a range.

    va      first VA that the run maps
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


#: Numbers that a walk needs of one level: shift and mask of its index; mask and value of the pattern of a table; mask,
#: lowest bit and lowest PA bit of the address; function that reads the address, where it has several parts.
_LevelPlan = tuple[int, int, int, int, int, int, int, Callable[[int], int] | None]


def _plan_of(target: Target, level: Level) -> _LevelPlan:
    """Return the plan for ``level``; the last level has no tables below it."""
    if level is target.mode.last:
        return (level.shift, level.entries - 1, 0, 1, 0, 0, 0, None)  # no entry matches
    form = target.mode.format.form(level.name, EntryKind.TABLE)
    (match,) = form.recognize
    part = form.address[0]
    whole = form.get_address if len(form.address) > 1 else None
    return (level.shift, level.entries - 1, match.mask, match.value, part.mask, part.low, part.physical, whole)


class PageTables:
    """The tables below one root.

    memory  where they are
    target  architecture and mode, which give the format of their entries
    root    PA of the root table
    """

    def __init__(self, memory: PhysicalMemory, target: Target, root: int) -> None:
        self.memory = memory
        self.target = target
        self.root = root
        mode = target.mode
        self._linear = mode.direct_map_base - (memory.base if mode.origin is LinearOrigin.RAM else 0)
        self._levels = mode.levels
        self._last = mode.last
        self._format = mode.format
        self._page_shift = mode.page_shift
        leaves = [form for form in mode.format.forms if form.kind is EntryKind.LEAF and self._last.name in form.levels]
        self._run_forms = [form for form in reversed(leaves) if form.shift > mode.page_shift]
        self._plan = tuple(_plan_of(target, level) for level in self._levels)
        if any(level.entry_bytes != WORD_BYTES for level in self._levels):
            raise MachineError("page tables whose entries are not words of eight bytes", where=str(mode.name))

    def virt(self, pa: int) -> int:
        """Return the VA of ``pa`` in the direct map. Kernel: __va()."""
        return pa + self._linear

    def walk(self, va: int, read: Callable[[int], int] | None = None) -> list[WalkStep]:
        """Return the steps of a walk for ``va``, up to an entry that points to no table.

        read  reads the entry at a PA; default: from memory
        Raises AbsentMemoryError for a table in absent memory.
        """
        steps: list[WalkStep] = []
        table, read = self.root, self.memory.read_entry if read is None else read
        for level in self._levels:
            slot = table + level.index(va) * level.entry_bytes
            raw = read(slot)
            kind = self._format.classify(level.name, raw)
            steps.append(WalkStep(level, slot, raw, kind))
            if kind is not EntryKind.TABLE:
                break
            table = self._format.form(level.name, kind).get_address(raw)
        return steps

    def find(self, va: int) -> WalkStep:
        """Return the last step of the walk for ``va``."""
        return self.walk(va)[-1]

    def descend(
        self, va: int, seen: list[int] | None = None, read: list[tuple[int, int]] | None = None
    ) -> tuple[int, int, int]:
        """Walk for ``va``; return the depth of the last level reached, the index of the word there, and its entry.

        Faster than :meth:`find`, as it does not classify the entry. Table entries on the way are appended to ``seen``,
        index and value of each word that was read to ``read``.
        Raises AbsentMemoryError for a table in absent memory.
        """
        memory = self.memory
        words, base, size, present = memory.entry_scalar, memory.base, memory.size, memory.present
        pa = self.root
        depth = 0
        for shift, mask, table_mask, table_value, address_mask, low, physical, get_address in self._plan:
            offset = pa - base
            if not 0 <= offset < size or (present is not None and not present[offset >> memory.page_shift]):
                memory.offset(pa)
            index = (offset >> WORD_SHIFT) + ((va >> shift) & mask)
            raw = words[index]
            if read is not None:
                read.append((index, raw))
            if raw & table_mask != table_value:
                break
            pa = (raw & address_mask) >> low << physical if get_address is None else get_address(raw)
            if seen is not None:
                seen.append(raw)
            depth += 1
        return depth, index, raw

    def table_of(self, depth: int, raw: int) -> int | None:
        """Return the PA of the table that an entry of the level at ``depth`` points to; None if it points to none."""
        _, _, mask, value, address_mask, low, physical, get_address = self._plan[depth]
        if raw & mask != value:
            return None
        return (raw & address_mask) >> low << physical if get_address is None else get_address(raw)

    def frame_of(self, va: int) -> int | None:
        """Return the PFN that ``va`` is mapped to, or ``None``."""
        (frame,) = self.frames(va, 1).tolist()
        return None if frame < 0 else frame

    def runs(self, start: int, end: int) -> Iterator[EntryRun]:
        """Return the entries that map ``[start, end)`` as runs within one table each, in order of VA.

        Above the last level a run is one entry; at the last level it is the table's whole part of the range.
        """
        va = start
        while va < end:
            depth, index, raw = self.descend(va)
            level, count, kind = self._levels[depth], 1, EntryKind.LEAF
            if level is self._last:
                count = min(level.entries - level.index(va), div_round_up(end - va, level.size))
            else:
                kind = self._format.classify(level.name, raw)
            slot = self.memory.base + (index << WORD_SHIFT)
            yield EntryRun(va, level, slot, self.memory.entries[index : index + count], kind)
            va = (va // level.size + count) * level.size

    def frames(self, start: int, pages: int) -> npt.NDArray[np.int64]:
        """Return the PFNs that ``pages`` consecutive pages from ``start`` on are mapped to, -1 for unmapped ones."""
        raws, above, done = np.empty(pages, dtype=np.uint64), list[tuple[int, int, EntryRun]](), 0
        for run in self.runs(start, start + (pages << self._page_shift)):
            if run.level is self._last:
                count = run.raws.size
                raws[done : done + count] = run.raws
            else:
                inside = (run.va & (run.level.size - 1)) >> self._page_shift
                count = min(pages - done, (run.level.size >> self._page_shift) - inside)
                above.append((done, count, run))
            done += count
        # entries of all tables at once: a table has few, next to what a call of numpy costs
        found = np.where(self._format.is_valid(self._last.name, raws), self._page_frames(start, raws), -1)
        for place, count, run in above:
            found[place : place + count] = -1
            raw = int(run.raws[0])
            form = self._format.recognize(run.level.name, raw)
            if run.kind is EntryKind.LEAF and form is not None:
                first = (form.get_address(raw) + (run.va & (run.level.size - 1))) >> self._page_shift
                found[place : place + count] = np.arange(first, first + count)
        return found

    def _page_frames(self, va: int, raws: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Return the output PFNs of entries at the last level, from VA on; low bits of a NAPOT entry's are the VA's."""
        frames = self.target.page_frames(raws)
        for form in self._run_forms:
            pages = (va >> self._page_shift) + np.arange(frames.size, dtype=np.int64)
            starts = (form.get_address(raws) >> self._page_shift).astype(np.int64)
            inside = pages & ((1 << form.shift - self._page_shift) - 1)
            for pattern in form.recognize:
                frames = np.where(pattern.accepts(raws), starts | inside, frames)
        return frames

    def map_leaf(self, va: int, pfn: int, level_name: str, role: PgprotRole, new_table: NewTable) -> None:
        """Map ``va`` by one leaf at ``level_name``."""
        self.map_leaves(va, pfn, 1, level_name, role, new_table)

    def map_leaves(self, va: int, pfn: int, count: int, level_name: str, role: PgprotRole, new_table: NewTable) -> None:
        """Map ``count`` consecutive leaves, from ``va`` on, to consecutive frames from ``pfn`` on."""
        level = self.target.mode.level(level_name)
        frames = level.size >> self._page_shift
        while count:
            here = min(count, level.entries - level.index(va))
            pfns = np.arange(pfn, pfn + here * frames, frames, dtype=np.int64)
            slot = self._slot(va, level_name, new_table)
            self.memory.entry_view(slot, here)[:] = self.target.leaves(level_name, pfns, role)
            va, pfn, count = va + here * level.size, pfn + here * frames, count - here

    def _slot(self, va: int, level_name: str, new_table: NewTable) -> int:
        """Return the PA of the entry for ``va`` at a level; missing tables above it are allocated."""
        table = self.root
        for depth, level in enumerate(self._levels):
            slot = table + level.index(va) * level.entry_bytes
            if level.name == level_name:
                break
            raw = self.memory.read_entry(slot)
            kind = self._format.classify(level.name, raw)
            if kind is EntryKind.NONE:
                raw = self.target.table(level.name, new_table(self._levels[depth + 1]) >> self._page_shift)
                self.memory.write_entry(slot, raw)
            elif kind is not EntryKind.TABLE:
                raise MachineError(
                    f"VA {va:#x} is already mapped above level {level_name}",
                    where=f"level {level.name}, entry {self.target.describe(level.name, raw)}",
                )
            table = self._format.form(level.name, EntryKind.TABLE).get_address(raw)
        return slot

    def describe(self, va: int) -> str:
        """Return the walk for ``va`` in one line, for messages."""
        try:
            return " -> ".join(
                f"{step.level.name} {self.target.describe(step.level.name, step.raw)}" for step in self.walk(va)
            )
        except (AbsentMemoryError, EncodingError) as error:
            return str(error)
