# SPDX-License-Identifier: GPL-2.0-only
"""Replacement of live entries: all at once, or each by compare-and-swap after its accessed flag was cleared."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.arch import PgprotRole
from hvolab.hvo.update import ClearAccessedAndExchange, EntryUpdate, PlainStores, entry_update
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.machine.frames.failure import FailCalls
from hvolab.plugin import registry
from hvolab.trace import EntriesStored, RangeFlushed
from tests.machines import MIB


def built(release: str) -> tuple[Machine, EntryUpdate]:
    target = registry().architecture("arm64").select(release=release)
    machine = build_machine(target, MachineSpec(memory=256 * MIB))
    return machine, entry_update(target, machine, machine.cpus[0])


def table(machine: Machine) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.uint64]]]:
    """PA of three entries, and what they are to become; they are valid and accessed before."""
    frame = machine.alloc_pages(0, 0)
    assert frame is not None
    entries = machine.target.page_entries(np.arange(6, dtype=np.int64) + 0x40000, PgprotRole.KERNEL)
    slot = frame << machine.target.mode.page_shift
    machine.cpus[0].store(machine.virt(slot), entries[:3].tobytes())
    return slot, entries[3:]


@pytest.mark.parametrize(("release", "kind"), [("6.12", PlainStores), ("mm-2026", ClearAccessedAndExchange)])
def test_every_entry_is_replaced(release: str, kind: type) -> None:
    machine, update = built(release)
    assert isinstance(update, kind)
    slot, after = table(machine)
    before = machine.memory.words[machine.memory.offset(slot) // 8 :][:3].copy()
    with machine.trace.record() as events:
        assert update.replace(slot, 0xFFFF000000000000, before, after) == 3
    assert machine.cpus[0].load(machine.virt(slot), 24) == after.tobytes()
    assert sum(isinstance(event, RangeFlushed) for event in events) == (3 if update.can_fail else 0)
    assert sum(isinstance(event, EntriesStored) for event in events) == (6 if update.can_fail else 1)


def test_an_update_that_is_lost_keeps_the_rest() -> None:
    machine, update = built("mm-2026")
    slot, after = table(machine)
    before = machine.memory.words[machine.memory.offset(slot) // 8 :][:3].copy()
    machine.entry_updates = FailCalls(frozenset({2}))
    assert update.replace(slot, 0xFFFF000000000000, before, after) == 1
    assert machine.cpus[0].load(machine.virt(slot), 24) == after[:1].tobytes() + before[1:].tobytes()
