# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of one step on a CPU that executes instructions with the effect that its sequence declares."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hvolab.arch import EmulationPart, InstructionSequence, PgprotRole
from hvolab.arithmetic import WORD_BYTES
from hvolab.conformance.effects.notation import State, apply_effect
from hvolab.conformance.effects.trials import Inputs, TrialPages
from hvolab.machine import Machine, StepCpu


class ExpectedMemory:
    """Expected memory of a machine: a copy of the frames that hold data; the others hold zeros.

    Frames that are reserved for CPUs are left out.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._pages = machine.memory.pages
        self._order: Literal["little", "big"] = "big" if machine.target.architecture.byte_order == "big" else "little"
        first = machine.memory.first_pfn
        self._reserved = slice(*(pfn - first for pfn in machine.guest.frames)) if machine.guest else slice(0)
        self._frames = np.flatnonzero(self._used())
        self._copy: npt.NDArray[np.uint64] = self._pages[self._frames]
        self._octets = self._copy.view(np.uint8)
        self._rows = {frame: row for row, frame in enumerate(self._frames.tolist())}

    def _used(self) -> npt.NDArray[np.bool_]:
        """Return a flag for each frame that holds data, those of CPUs left out."""
        used = np.asarray(self._pages.any(axis=1))
        used[self._reserved] = False
        return used

    def load(self, va: int, size: int) -> int:
        """Return `size` bytes at a VA of the direct map, in a frame that holds data."""
        row, offset = self._find(va)
        data = self._octets[row, offset : offset + size].tobytes()
        return int.from_bytes(data, self._order)

    def store(self, va: int, value: int, size: int) -> None:
        """Store `size` bytes there."""
        row, offset = self._find(va)
        data = value.to_bytes(size, self._order)
        self._octets[row, offset : offset + size] = np.frombuffer(data, dtype=np.uint8)

    def _find(self, va: int) -> tuple[int, int]:
        memory = self._machine.memory
        offset = va - self._machine.virt(memory.base)
        return self._rows[offset >> memory.page_shift], offset & (1 << memory.page_shift) - 1

    def difference(self) -> str:
        """Return the first word that differs, in words; empty if none does."""
        unequal = np.argwhere(self._pages[self._frames] != self._copy)
        if not unequal.size:
            return ""
        row, word = unequal[0].tolist()
        frame = int(self._frames[row])
        va = self._machine.page_to_virt(frame + self._machine.memory.first_pfn) + WORD_BYTES * word
        return f"the word at VA {va:#x} is {int(self._pages[frame, word]):#x}, not {int(self._copy[row, word]):#x}"

    def elsewhere(self) -> str:
        """Return the first frame that held zeros and holds data now, in words; empty if there is none."""
        used = self._used()
        used[self._frames] = False
        pfns = np.flatnonzero(used) + self._machine.memory.first_pfn
        return f"a store changed frame {int(pfns[0]):#x}" if pfns.size else ""


def compare_effect(
    cpu: StepCpu, part: EmulationPart, sequence: InstructionSequence, inputs: Inputs, memory: ExpectedMemory
) -> str:
    """Execute a sequence on `cpu`, apply its effect to `memory`, and return the first difference in words, or "".

    Registers that are neither inputs nor outputs nor clobbers of the sequence must not change.
    """
    held = {register: inputs[name] for name, register in sequence.inputs}
    before = {**cpu.registers(), **dict.fromkeys(part.convention.arguments, 0), **held}
    state = State(held, memory.load, memory.store)
    apply_effect(sequence.effect, state)
    outputs = cpu.carry_out(sequence.step, inputs)
    for name, register in sequence.outputs:
        if outputs[name] != state.registers[register]:
            return f"{name} is {outputs[name]:#x}, by the effect {state.registers[register]:#x}"
    leave = part.sequence("leave")
    clobbered = {
        *sequence.clobbers,
        *(register for _, register in sequence.outputs),
        *(leave.clobbers if leave else ()),
    }
    after = cpu.registers()
    for register, value in before.items():
        if register in after and register not in clobbered and after[register] != value:
            return f"{register} is {after[register]:#x}, was {value:#x}, and is not among the clobbers"
    return memory.difference()


def stale_after(cpu: StepCpu, machine: Machine, sequence: InstructionSequence, pages: TrialPages) -> str:
    """Execute a flush and return the translations that it should drop and does not, in words; empty if it drops all.

    Five pages of the kernel's image are mapped to one frame, loaded from, and mapped to another one.
    """
    mode, guest = machine.target.mode, machine.guest
    if guest is None:
        return "the machine has no guest text"
    vas = [guest.text_va + (64 + page) * mode.page_size for page in range(5)]
    slots = [machine.tables.find(va).slot for va in vas]

    def map_to(page: int) -> None:
        pfn = (page - machine.virt(0)) >> mode.page_shift
        for slot in slots:
            machine.memory.write_entry(slot, machine.target.leaf(mode.last.name, pfn, PgprotRole.KERNEL))

    entries = [machine.memory.read_entry(slot) for slot in slots]
    map_to(pages.b)
    cpu.flush_all()
    for va in vas:
        cpu.load_word(va)
    map_to(pages.c)
    values = {"va": vas[1], "first": vas[1], "count": 3, "size": mode.page_size}
    state = State({register: values[name] for name, register in sequence.inputs}, lambda *_: 0, lambda *_: None)
    apply_effect(sequence.effect, state)
    cpu.carry_out(sequence.step, {name: values[name] for name, _ in sequence.inputs})
    dropped = vas if None in state.flushed else [va for va in vas if va in state.flushed]
    stale = [va for va in dropped if cpu.load_word(va) != pages.word(pages.c)]
    for slot, raw in zip(slots, entries, strict=True):
        machine.memory.write_entry(slot, raw)
    cpu.flush_all()
    return ", ".join(f"VA {va:#x} still has its old translation" for va in stale)
