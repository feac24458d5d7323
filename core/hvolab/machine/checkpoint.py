# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints: the whole state of a machine, saved to be restored any number of times.

Used to carry out many operations that all begin in the same state: cases of a comparison, schedules of a search.
Restoring costs some ten microseconds whatever the size of the machine, and the first store to each page afterwards a
copy of that page.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from hvolab.errors import MachineError
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.frames.failure import restored
from hvolab.machine.machine import Machine

#: Restores one part of the state; may be called any number of times.
Restore = Callable[[], None]


@runtime_checkable
class Restorable(Protocol):
    """A part of a machine whose state can be saved and restored."""

    def save(self) -> Restore:
        """Save the state; return the function that restores it."""


class Checkpoint:
    """The state of ``machine`` when this object is made, and of ``others``: parts that the machine does not hold.

    Saved are memory, the frames' states and the order in which free ones are allocated, counters, the static key,
    shared tail pages, blocks freed and lost, poisoned frames, grace periods, the sysctl, the list of CPUs, and
    their TLBs. A CPU that cannot save its TLB is flushed, now and at each restore, so that the same steps have the
    same effect each time. Not saved are the trace's listeners, and counts outside the machine (of pools, or a
    kernel's own memory): pass objects with a method ``save`` as ``others``. Make emulated CPUs before the
    checkpoint: their data in the machine's memory are restored too.

    Checkpoints of one machine may be taken one after the other and restored in any order. Each stores what changed
    since the one that was taken or restored before it, which it keeps.
    Raises MachineError if the machine's frames cannot be saved, and OSError if the host has no memory, file descriptor
    or mapping left.
    """

    def __init__(self, machine: Machine, *others: Restorable) -> None:
        if not isinstance(machine.frames, Restorable):
            raise MachineError(
                f"the frames of this machine cannot be saved: {type(machine.frames).__name__} has no method save",
                hint="take checkpoints of machines that build_machine() builds",
            )
        parts = machine.memory, machine.frames, *others
        self._restores = [_save_fields(machine), *(part.save() for part in parts)]
        self._restores += [cpu.save() if isinstance(cpu, Restorable) else _flushed(cpu) for cpu in machine.cpus]

    def restore(self) -> None:
        """Return everything to the saved state."""
        for restore in self._restores:
            restore()


def _save_fields(machine: Machine) -> Restore:
    """Save the machine's own fields, those that are added to its class later included."""
    fields, counters = vars(machine).copy(), vars(machine.counters).copy()
    tails, freed, cpus = machine.vmemmap_tails.copy(), machine.freed_blocks.copy(), machine.cpus.copy()
    poisoned = machine.poisoned.copy()
    policies = copy.deepcopy(machine.entry_updates), copy.deepcopy(machine.table_updates)

    def restore() -> None:
        now = machine.entry_updates, machine.table_updates
        vars(machine).update(fields)
        vars(machine.counters).update(counters)
        machine.vmemmap_tails, machine.freed_blocks = tails.copy(), freed.copy()
        machine.poisoned = poisoned.copy()
        machine.cpus[:] = cpus
        machine.entry_updates, machine.table_updates = map(restored, now, policies)

    return restore


def _flushed(cpu: Cpu) -> Restore:
    """Flush a CPU; return the function that does so again."""
    cpu.flush_all()
    return cpu.flush_all
