"""A direct map for a machine made from a core: at a VA where its kernel has nothing.

A cut core does not hold the kernel's own direct map, and that does not reach the new frames either.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from hvolab.arch import EntryKind, Level, LinearOrigin, PgprotRole
from hvolab.errors import MachineError
from hvolab_vmcore.core.snapshot import CoreSnapshot, with_direct_map
from hvolab_vmcore.replay.new_frames import NewFrames


def map_directly(snapshot: CoreSnapshot, new: NewFrames) -> tuple[CoreSnapshot, int]:
    """The snapshot with all of its memory mapped at one free place of its kernel's VAs, and that as its direct map.

    Also gives the VA that follows, where there is room for a leaf more.

    Raises MachineError where no place is large enough.
    """
    mode, memory = snapshot.target.mode, snapshot.memory
    leaf = mode.level(mode.direct_map_level)
    origin = memory.base if mode.origin is LinearOrigin.RAM else 0
    below = origin // leaf.size * leaf.size  # leaves start at multiples of their size, on both sides
    window = memory.base + memory.size - below
    window = -(-window // leaf.size) * leaf.size
    base = _free_window(snapshot, window + leaf.size)
    mapped = with_direct_map(snapshot, base + origin - below)

    first = memory.base // leaf.size
    for unit in range(first, -(-(memory.base + memory.size) // leaf.size)):
        va = base + unit * leaf.size - below
        role = PgprotRole.KERNEL if leaf is mode.last else PgprotRole.KERNEL_LARGE
        mapped.tables.map_leaf(va, unit * leaf.size >> mode.page_shift, leaf.name, role, new.table)
    return mapped, base + window


def _free_window(snapshot: CoreSnapshot, size: int) -> int:
    """VA of a range of ``size`` bytes, outside of the vmemmap, in which nothing is mapped.

    Entries that lead to tables which the core does not hold map nothing either, and are cleared. It is the first one
    from where the kernel's own direct map begins, so that a kernel's code takes VAs there for those of a direct map;
    where there is none, the highest one. Looked for in the root table first, then in the tables below it, as far as the
    core holds them.
    """
    mode, memory = snapshot.target.mode, snapshot.memory
    root = mode.levels[0]
    top = (1 << 64) - (1 << (root.shift + root.bits))
    start, end = snapshot.region
    waiting = deque([(0, top, snapshot.tables.root)])
    seen = {snapshot.tables.root}
    lowest = [level.name for level in mode.levels].index(mode.direct_map_level)
    form = mode.format
    while waiting:
        depth, table_va, pa = waiting.popleft()
        level = mode.levels[depth]
        raws = memory.word_view(pa, level.entries)
        vas = [table_va + (slot << level.shift) for slot in range(level.entries)]
        kept = np.array([not mode.canonical(va) or (va < end and va + level.size > start) for va in vas])
        lost = np.array([_leads_nowhere(snapshot, level, int(raw)) for raw in raws]) & ~kept
        used = np.asarray(form.is_valid(level.name, raws)) & ~lost | kept
        need = -(-size // level.size)
        free = np.concatenate(([0], np.cumsum(~used)))
        fits = np.flatnonzero(free[need:] - free[:-need] == need) if need <= level.entries else np.empty(0, np.int64)
        if fits.size:
            above = [slot for slot in fits.tolist() if vas[slot] >= mode.direct_map_base]
            slot = above[0] if above else int(fits[-1])
            raws[slot : slot + need][lost[slot : slot + need]] = form.empty(level.name)
            return vas[slot]
        if depth < lowest:
            for slot in np.flatnonzero(used).tolist():
                child = _table_below(snapshot, level, int(raws[slot]))
                if child is not None and child not in seen:
                    seen.add(child)
                    waiting.append((depth + 1, vas[slot], child))
    raise MachineError(
        f"no {size:#x} bytes of the kernel's VAs are free for a direct map of the core's memory",
        where=f"root table at PA {snapshot.tables.root:#x}",
        hint="use a core of a machine with less memory",
    )


def _leads_nowhere(snapshot: CoreSnapshot, level: Level, raw: int) -> bool:
    """Whether an entry points to a table that the core does not hold."""
    is_table = snapshot.target.mode.format.classify(level.name, raw) is EntryKind.TABLE
    return is_table and _table_below(snapshot, level, raw) is None


def _table_below(snapshot: CoreSnapshot, level: Level, raw: int) -> int | None:
    """PA of the table that an entry points to, if it is one that the core holds."""
    form, memory = snapshot.target.mode.format, snapshot.memory
    if form.classify(level.name, raw) is not EntryKind.TABLE:
        return None
    pa = form.form(level.name, EntryKind.TABLE).get_address(raw)
    return pa if memory.holds(pa) else None
