"""One step, tried on a CPU that carries out its instructions: whether it does what its effect says, nothing else."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hvolab.arch import EmulationPart, InstructionSequence, PgprotRole
from hvolab.conformance.effects.notation import State, carry_out
from hvolab.conformance.effects.trials import Inputs, TrialPages
from hvolab.machine import Machine, StepCpu


class Memory:
    """A machine's memory as it should be: a copy of the frames that hold something, the others hold zeros.

    What CPUs have set aside for themselves is left out.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._pages = machine.memory.pages
        self._order: Literal["little", "big"] = "big" if machine.target.architecture.byte_order == "big" else "little"
        used = np.asarray(self._pages.any(axis=1))
        if machine.guest is not None:
            first, stop = (pfn - machine.memory.first_pfn for pfn in machine.guest.frames)
            used[first:stop] = False
            self._own = slice(first, stop)
        self._frames = np.flatnonzero(used)
        self._copy: npt.NDArray[np.uint64] = self._pages[self._frames]
        self._octets = self._copy.view(np.uint8)
        self._rows = {frame: row for row, frame in enumerate(self._frames.tolist())}

    def load(self, va: int, size: int) -> int:
        """So many bytes at a VA of the direct map that holds something."""
        row, offset = self._find(va)
        data = self._octets[row, offset : offset + size].tobytes()
        return int.from_bytes(data, self._order)

    def store(self, va: int, value: int, size: int) -> None:
        """Store so many bytes there."""
        row, offset = self._find(va)
        data = value.to_bytes(size, self._order)
        self._octets[row, offset : offset + size] = np.frombuffer(data, dtype=np.uint8)

    def _find(self, va: int) -> tuple[int, int]:
        memory = self._machine.memory
        offset = va - self._machine.virt(memory.base)
        return self._rows[offset >> memory.page_shift], offset & (1 << memory.page_shift) - 1

    def difference(self) -> str:
        """The first byte that is not as it should be, in words; empty where there is none."""
        unequal = np.argwhere(self._pages[self._frames] != self._copy)
        if not unequal.size:
            return ""
        row, word = unequal[0].tolist()
        frame = int(self._frames[row])
        va = self._machine.page_to_virt(frame + self._machine.memory.first_pfn) + 8 * word
        return f"the word at VA {va:#x} is {int(self._pages[frame, word]):#x}, not {int(self._copy[row, word]):#x}"

    def elsewhere(self) -> str:
        """The first frame that held zeros and does not any more; empty where there is none."""
        used = np.asarray(self._pages.any(axis=1))
        used[self._frames] = False
        if self._machine.guest is not None:
            used[self._own] = False
        found = np.flatnonzero(used)
        return (
            f"something was stored in frame {int(found[0]) + self._machine.memory.first_pfn:#x}" if found.size else ""
        )


def compare_effect(
    cpu: StepCpu, part: EmulationPart, sequence: InstructionSequence, inputs: Inputs, memory: Memory
) -> str:
    """Carry out a sequence on ``cpu`` and by its effect on ``memory``; what differs, in words, or an empty text.

    Registers that hold neither inputs nor outputs, and that the sequence does not say it clobbers, must stay.
    """
    before = {**cpu.registers(), **dict.fromkeys(part.convention.arguments, 0)}
    before.update({register: inputs[name] for name, register in sequence.inputs})
    state = State({register: inputs[name] for name, register in sequence.inputs}, memory.load, memory.store)
    carry_out(sequence.effect, state)
    outputs = cpu.carry_out(sequence.step, inputs)
    for name, register in sequence.outputs:
        if outputs[name] != state.registers[register]:
            return f"{name} is {outputs[name]:#x}, and by the effect {state.registers[register]:#x}"
    leave = part.sequence("leave")
    spoilt = {*sequence.clobbers, *(register for _, register in sequence.outputs), *(leave.clobbers if leave else ())}
    after = cpu.registers()
    for register, value in before.items():
        if register in after and register not in spoilt and after[register] != value:
            return f"{register} is {after[register]:#x}, was {value:#x}, and is not named among what it clobbers"
    return memory.difference()


def forgets(cpu: StepCpu, machine: Machine, sequence: InstructionSequence, place: TrialPages) -> str:
    """Carry out a flush: what it should forget and does not, in words; empty where it forgets all that.

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
            machine.memory.write_word(slot, machine.target.leaf(mode.last.name, pfn, PgprotRole.KERNEL))

    there = [machine.memory.read_word(slot) for slot in slots]
    map_to(place.b)
    cpu.flush_all()
    for va in vas:
        cpu.load_word(va)
    map_to(place.c)
    held = {"va": vas[1], "first": vas[1], "count": 3, "size": mode.page_size}
    inputs = {name: held[name] for name, _ in sequence.inputs}
    state = State({register: held[name] for name, register in sequence.inputs}, lambda *_: 0, lambda *_: None)
    carry_out(sequence.effect, state)
    cpu.carry_out(sequence.step, inputs)
    forgotten = vas if None in state.flushed else [va for va in vas if va in state.flushed]
    kept = [va for va in forgotten if cpu.load_word(va) != place.word(place.c)]
    for slot, raw in zip(slots, there, strict=True):
        machine.memory.write_word(slot, raw)
    cpu.flush_all()
    return ", ".join(f"VA {va:#x} is still translated as before" for va in kept)
