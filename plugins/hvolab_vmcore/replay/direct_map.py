# SPDX-License-Identifier: GPL-2.0-only
"""Direct map of a machine built from a core, at VAs that its kernel does not use.

A filtered core does not hold the kernel's own direct map, which does not map the new frames either.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from hvolab.arch import EntryKind, LinearOrigin, PgprotRole
from hvolab.arithmetic import div_round_up, round_up
from hvolab.errors import MachineError
from hvolab.machine import PageTables, StructPages
from hvolab_vmcore.core.snapshot import CoreSnapshot
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
    mode = replace(mode, direct_map_base=base + origin - below)
    mode.check()
    target = replace(snapshot.target, mode=mode)
    tables = PageTables(memory, target, snapshot.tables.root)
    pages = StructPages(tables, snapshot.struct_pages.layout)
    first = memory.base // leaf.size
    count = div_round_up(memory.base + memory.size, leaf.size) - first
    role = PgprotRole.KERNEL if leaf is mode.last else PgprotRole.KERNEL_LARGE
    va, pfn = base + first * leaf.size - below, first * leaf.size >> mode.page_shift
    tables.map_leaves(va, pfn, count, leaf.name, role, new.table)
    return replace(snapshot, target=target, tables=tables, struct_pages=pages), base + window


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
        raws = memory.entry_view(pa, level.entries)
        vas = [table_va + (slot << level.shift) for slot in range(level.entries)]
        reserved = np.array([not mode.canonical(va) or (va < end and va + level.size > start) for va in vas])
        is_table = np.array([form.classify(level.name, raw) is EntryKind.TABLE for raw in raws.tolist()])
        children = np.zeros(level.entries, dtype=np.int64)
        if is_table.any():
            children[is_table] = form.form(level.name, EntryKind.TABLE).get_address(raws[is_table])
        held = memory.fetch(children >> memory.page_shift)
        dangling = is_table & ~held & ~reserved
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
            for slot in np.flatnonzero(used & is_table & held).tolist():
                child = int(children[slot])
                if child not in visited:
                    visited.add(child)
                    waiting.append((depth + 1, vas[slot], child))
    raise MachineError(
        f"the kernel's VAs have no free range of {size:#x} bytes for a direct map",
        where=f"root table at PA {snapshot.tables.root:#x}",
        hint="use a core of a machine with less memory",
    )
