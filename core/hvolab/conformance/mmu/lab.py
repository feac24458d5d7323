# SPDX-License-Identifier: GPL-2.0-only
"""Part of a machine's VA space for arbitrary entries: one table for each level, one word of data."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.arch import EntryKind, Target
from hvolab.arithmetic import round_up
from hvolab.errors import MachineError
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.release.gfp import GFP_KERNEL

_MEMORY = 64 << 20
_WORD_OFFSET = 0x128


@dataclass(frozen=True)
class Lab:
    """Tables and word for arbitrary entries.

    machine  a machine of the target, with one CPU
    va       VA of a word
    pa       PA of the word
    slots    PA of the entry that maps ``va`` at each level, from the root on
    tables   PFN of the table of each slot
    first    depth of the first entry of the lab; those above it map other VAs too, and do not change
    """

    machine: Machine
    va: int
    pa: int
    slots: tuple[int, ...]
    tables: tuple[int, ...]
    first: int

    @property
    def target(self) -> Target:
        """The machine's target."""
        return self.machine.target

    def leaf_address(self, depth: int) -> int:
        """Return the address bits of a leaf at that depth that maps the word."""
        level = self.target.mode.levels[depth]
        form = self.target.mode.format.form(level.name, EntryKind.LEAF)
        return form.put_address(self.pa & ~(level.size - 1))

    def table_address(self, depth: int) -> int:
        """Return the address bits of an entry at that depth that points to the table below."""
        level = self.target.mode.levels[depth]
        form = self.target.mode.format.form(level.name, EntryKind.TABLE)
        return form.put_address(self.tables[depth + 1] << self.target.mode.page_shift)


def lay_out(target: Target) -> Lab:
    """Build a machine with a lab; raises MachineError where every entry of every table is in use."""
    mode = target.mode
    middle = mode.levels[-2].size
    machine = build_machine(target, MachineSpec(memory=round_up(_MEMORY, middle), deferred_struct_pages=True))
    word = _allocated(machine, 1) << mode.page_shift | _WORD_OFFSET
    first, va = _free_entry(machine)
    # VA and PA have the same bits below the free entry, so that a leaf of any level maps the word
    va |= word & (mode.levels[first].size - 1)
    above = machine.tables.walk(va)[: first + 1]
    tables = [step.slot >> mode.page_shift << mode.page_shift for step in above]
    tables[0] = machine.tables.root
    slots = [step.slot for step in above]
    for level in mode.levels[first + 1 :]:
        table = _allocated(machine, level.table_bytes >> mode.page_shift) << mode.page_shift
        tables.append(table)
        slots.append(table + level.index(va) * level.entry_bytes)
    return Lab(machine, va, word, tuple(slots), tuple(table >> mode.page_shift for table in tables), first)


def _free_entry(machine: Machine) -> tuple[int, int]:
    """Return depth and first VA of a free entry, as near to the root as possible."""
    mode, memory = machine.target.mode, machine.memory
    base = mode.kernel_base
    table, va = machine.tables.root, (1 << 64) - (1 << mode.va_bits) if base is None else base
    for depth, level in enumerate(mode.levels[:-1]):
        used: list[tuple[int, int]] = []
        for index in reversed(range(level.entries)):
            at = va + (index << level.shift)
            raw = memory.read_entry(table + index * level.entry_bytes)
            if not mode.format.is_valid(level.name, raw) and mode.canonical(at):
                return depth, at
            if mode.format.classify(level.name, raw) is EntryKind.TABLE:
                used.append((at, raw))
        va, raw = used[0]
        table = mode.format.form(level.name, EntryKind.TABLE).get_address(raw)
    raise MachineError("every entry of every table is in use", where=str(machine.target))


def _allocated(machine: Machine, frames: int) -> int:
    """Return the PFN of so many zeroed frames, at least one."""
    order = max(0, frames - 1).bit_length()
    pfn = machine.alloc_pages(GFP_KERNEL, order)
    if pfn is None:
        raise MachineError("no free memory for a table", where=str(machine.target))
    machine.memory.zero(pfn, 1 << order)
    return pfn
