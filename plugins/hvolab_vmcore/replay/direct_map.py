"""Direct map of a machine built from a core, at VAs that its kernel does not use.

A filtered core does not hold the kernel's own direct map, which does not map the new frames either.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from hvolab.arch import EntryKind, Level, LinearOrigin, PgprotRole
from hvolab.arithmetic import div_round_up, round_up
from hvolab.errors import MachineError
from hvolab_vmcore.core.snapshot import CoreSnapshot, with_direct_map
from hvolab_vmcore.replay.new_frames import NewFrames


def build_direct_map(snapshot: CoreSnapshot, new: NewFrames) -> tuple[CoreSnapshot, int]:
    """Map all memory at a free range of the kernel's VAs, as the direct map.

    Returns the snapshot with that direct map, and the VA after it, where one more leaf is free.
    Raises MachineError where no free range is large enough.
    """
    mode, memory = snapshot.target.mode, snapshot.memory
    leaf = mode.level(mode.direct_map_level)
    origin = memory.base if mode.origin is LinearOrigin.RAM else 0
    below = origin // leaf.size * leaf.size  # leaves start at multiples of their size, on both sides
    window = round_up(memory.base + memory.size - below, leaf.size)
    base = _free_window(snapshot, window + leaf.size)
    mapped = with_direct_map(snapshot, base + origin - below)

    first = memory.base // leaf.size
    for unit in range(first, div_round_up(memory.base + memory.size, leaf.size)):
        va = base + unit * leaf.size - below
        role = PgprotRole.KERNEL if leaf is mode.last else PgprotRole.KERNEL_LARGE
        mapped.tables.map_leaf(va, unit * leaf.size >> mode.page_shift, leaf.name, role, new.table)
    return mapped, base + window


def _free_window(snapshot: CoreSnapshot, size: int) -> int:
    """Return the VA of a range of ``size`` bytes, outside of the vmemmap, in which nothing is mapped.

    It is the first range after the start of the kernel's own direct map, so that a kernel's code takes its VAs for
    direct-map VAs; if there is none, the last range before it. The root table is searched first, then the tables below
    it. Entries that point to tables which the core does not hold count as free and are cleared.
    """
    mode, memory = snapshot.target.mode, snapshot.memory
    root = mode.levels[0]
    top = (1 << 64) - (1 << (root.shift + root.bits))
    start, end = snapshot.region
    waiting = deque([(0, top, snapshot.tables.root)])
    visited = {snapshot.tables.root}
    lowest = [level.name for level in mode.levels].index(mode.direct_map_level)
    form = mode.format
    while waiting:
        depth, table_va, pa = waiting.popleft()
        level = mode.levels[depth]
        raws = memory.word_view(pa, level.entries)
        vas = [table_va + (slot << level.shift) for slot in range(level.entries)]
        reserved = np.array([not mode.canonical(va) or (va < end and va + level.size > start) for va in vas])
        dangling = np.array([_is_dangling(snapshot, level, int(raw)) for raw in raws]) & ~reserved
        used = np.asarray(form.is_valid(level.name, raws)) & ~dangling | reserved
        need = div_round_up(size, level.size)
        free = np.concatenate(([0], np.cumsum(~used)))
        fits = np.flatnonzero(free[need:] - free[:-need] == need) if need <= level.entries else np.empty(0, np.int64)
        if fits.size:
            above = [slot for slot in fits.tolist() if vas[slot] >= mode.direct_map_base]
            slot = above[0] if above else int(fits[-1])
            raws[slot : slot + need][dangling[slot : slot + need]] = form.empty(level.name)
            return vas[slot]
        if depth < lowest:
            for slot in np.flatnonzero(used).tolist():
                child = _table_below(snapshot, level, int(raws[slot]))
                if child is not None and child not in visited:
                    visited.add(child)
                    waiting.append((depth + 1, vas[slot], child))
    raise MachineError(
        f"the kernel's VAs have no free range of {size:#x} bytes for a direct map",
        where=f"root table at PA {snapshot.tables.root:#x}",
        hint="use a core of a machine with less memory",
    )


def _is_dangling(snapshot: CoreSnapshot, level: Level, raw: int) -> bool:
    """Return whether an entry points to a table that the core does not hold."""
    is_table = snapshot.target.mode.format.classify(level.name, raw) is EntryKind.TABLE
    return is_table and _table_below(snapshot, level, raw) is None


def _table_below(snapshot: CoreSnapshot, level: Level, raw: int) -> int | None:
    """Return the PA of the table that an entry points to, None if the core does not hold it."""
    form, memory = snapshot.target.mode.format, snapshot.memory
    if form.classify(level.name, raw) is not EntryKind.TABLE:
        return None
    pa = form.form(level.name, EntryKind.TABLE).get_address(raw)
    return pa if memory.holds(pa) else None
