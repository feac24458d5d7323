# SPDX-License-Identifier: GPL-2.0-only
"""Way of a walk to one VA, as far as the dump has its page tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hvolab.arch import Access, EntryKind
from hvolab.machine import FrameState
from hvolab.serialize import Hex
from hvolab_vmcore.core.snapshot import CoreSnapshot

#: FrameState in output.
STATES = {state: state.name.lower().replace("_", " ") for state in FrameState}


@dataclass(frozen=True)
class WayStep:
    """Entry of a walk.

    level  name of its level
    pa     PA of the entry
    state  state of the frame that holds it: saved, zero, not saved, absent
    entry  the entry, in hex and decoded; null: the dump does not have it
    """

    level: str
    pa: Hex
    state: str
    entry: str | None


@dataclass(frozen=True)
class Way:
    """Walk to a VA.

    steps     the entries, from the root's level on
    pa        PA that the VA is mapped to; None: it is not mapped, or the dump lacks a table
    mapped    whether it is mapped; None: the dump lacks a table
    writable  whether a store would be allowed; None without a PA
    """

    steps: tuple[WayStep, ...]
    pa: int | None = None
    mapped: bool | None = None
    writable: bool | None = None


def way_to(snapshot: CoreSnapshot, va: int) -> Way:
    """Walk to a VA, up to a leaf, an entry that maps nothing, or a table that the dump does not have."""
    target, memory = snapshot.target, snapshot.memory
    form_of = target.mode.format
    steps, raws, table = list[WayStep](), list[int](), snapshot.tables.root
    for level in target.mode.levels:
        slot = table + level.index(va) * level.entry_bytes
        state = state_of(snapshot, slot >> memory.page_shift)
        if state < FrameState.ZERO:
            steps.append(WayStep(level.name, slot, STATES[state], None))
            return Way(tuple(steps))
        raw = memory.read_entry(slot)
        steps.append(WayStep(level.name, slot, STATES[state], target.describe(level.name, raw)))
        kind = form_of.classify(level.name, raw)
        if kind is EntryKind.LEAF:
            pa = form_of.form(level.name, kind).get_address(raw) + (va & level.size - 1)
            return Way(tuple(steps), pa, mapped=True, writable=bool(target.allowed(raw, tuple(raws)) & Access.WRITE))
        if kind is not EntryKind.TABLE:
            break
        raws.append(raw)
        table = form_of.form(level.name, kind).get_address(raw)
    return Way(tuple(steps), mapped=False)


def state_of(snapshot: CoreSnapshot, pfn: int) -> FrameState:
    """Return the state of a frame in the dump."""
    return FrameState(int(snapshot.memory.states(np.array([pfn], dtype=np.int64))[0]))
