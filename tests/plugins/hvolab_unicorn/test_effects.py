"""Each instruction sequence, executed, does what its effect says: to memory, to registers, and to nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hvolab.arch import InstructionSequence, PgprotRole
from hvolab.machine import Machine
from hvolab.plugin import registry
from hvolab_unicorn.emulated_cpu import EmulatedCpu
from tests.plugins.hvolab_unicorn.effects import State, carry_out
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, Lab, lab, pages

#: Registers that a sequence may spoil only if it says so.
GENERAL = {
    "x86_64": [
        "rax",
        "rbx",
        "rcx",
        "rdx",
        "rsi",
        "rdi",
        "rbp",
        "rsp",
        "r8",
        "r9",
        "r10",
        "r11",
        "r12",
        "r13",
        "r14",
        "r15",
    ],
    "arm64": [f"x{number}" for number in range(31)] + ["sp"],
    "riscv": ["ra", "sp", "gp", "tp"]
    + [f"{kind}{number}" for kind, last in (("a", 8), ("t", 7), ("s", 12)) for number in range(last)],
}
#: Steps whose effect is on the TLB, on order, or on where execution goes on.
ELSEWHERE = {"enter", "leave", "wait", "jump", "handler"}


def inputs(machine: Machine, step: str) -> Iterator[dict[str, int]]:
    """What the inputs of a step hold, one dictionary for each time that it is tried."""
    a, b, c, d = pages(machine, 4)
    words = machine.memory.words
    base = machine.virt(machine.memory.base)

    def put(at: int, *values: int) -> None:
        words[(at - base) // 8 : (at - base) // 8 + len(values)] = values

    put(a, *(b + 8 * each for each in (5, 0, 9, 2)))
    put(a + 256, *(c + 8 * each for each in (40, 10, 80, 0)))
    put(d, d + 64)
    put(d + 64, d + 128)
    put(d + 128, d)
    put(d + 512, d + 512)
    there = int(words[(b - base) // 8])
    size = machine.target.mode.page_size
    yield from {
        "load": [{"va": b}],
        "store": [{"va": b, "value": (1 << 64) - 2}],
        "touch": [{"va": b}],
        "compare_and_swap": [{"va": b, "old": there, "new": 3}, {"va": b, "old": there, "new": 4}],
        "write_entry": [{"slot": b + 16, "entry": 1 << 63 | 3}],
        "exchange_entry": [{"slot": b, "old": there, "new": 3}, {"slot": b, "old": there, "new": 4}],
        "flush_page": [{"va": b}],
        "flush_pages": [{"first": b, "count": 1, "size": size}, {"first": b, "count": 7, "size": size}],
        "copy_bytes": [{"to": b + 3, "from": c + 1, "count": 1}, {"to": b + 3, "from": c + 1, "count": 99}],
        "copy_words": [{"to": b, "from": c + 8, "count": 1}, {"to": b, "from": c + 8, "count": 77}],
        "load_words": [{"vas": a, "to": c, "count": 1}, {"vas": a, "to": a, "count": 4}],
        "store_words": [{"vas": a, "values": c, "count": 1}, {"vas": a, "values": c + 8, "count": 4}],
        "copy_runs": [
            {"to": a, "from": a + 256, "count": 1, "words": 1},
            {"to": a, "from": a + 256, "count": 4, "words": 2},
            {"to": a + 16, "from": a + 256, "count": 1, "words": 27},
            {"to": a + 8, "from": a + 264, "count": 1, "words": 8},
        ],
        "write_entry_rows": [
            {"slots": a, "entries": c, "rows": 1, "columns": 1},
            {"slots": a, "entries": c + 8, "rows": 4, "columns": 2},
        ],
        "load_chain": [
            {"va": d, "end": d, "to": c, "limit": 9},
            {"va": d, "end": d, "to": c, "limit": 1},
            {"va": d + 512, "end": d + 512, "to": c, "limit": 9},
            {"va": d, "end": 0, "to": c, "limit": 11},
        ],
    }.get(step, [{}])


@pytest.fixture(params=ARCHITECTURES, scope="module")
def world(request: pytest.FixtureRequest) -> Lab:
    return lab(request.param)


STEPS = [
    sequence.step
    for sequence in registry().architecture("x86_64").emulation.sequences  # type: ignore[union-attr]
    if sequence.step not in ELSEWHERE
]


def registers(cpu: EmulatedCpu) -> dict[str, int]:
    vcpu = cpu.vcpu
    names = GENERAL[vcpu.target.architecture.name]
    return {name: vcpu.uc.reg_read(vcpu.register(name)) for name in names}


def expected(machine: Machine, sequence: InstructionSequence, held: dict[str, int]) -> tuple[State, Any]:
    """The state after the effect, on a copy of the memory."""
    memory = machine.memory.octets.copy()
    base = machine.virt(machine.memory.base)

    def load(va: int, size: int) -> int:
        return int.from_bytes(memory[va - base : va - base + size].tobytes(), "little")

    def store(va: int, value: int, size: int) -> None:
        memory[va - base : va - base + size] = np.frombuffer(value.to_bytes(size, "little"), dtype=np.uint8)

    state = State({register: held[name] for name, register in sequence.inputs}, load, store)
    carry_out(sequence.effect, state)
    return state, memory


@pytest.mark.parametrize("step", STEPS)
def test_a_sequence_does_what_its_effect_says_and_nothing_else(world: Lab, step: str) -> None:
    machine, cpu = world
    vcpu = cpu.vcpu
    sequence = vcpu.routines[step].sequence
    for held in inputs(machine, step):
        before = registers(cpu)
        state, memory = expected(machine, sequence, held)
        arguments = dict.fromkeys(vcpu.part.convention.arguments, 0)
        arguments.update({register: held[name] for name, register in sequence.inputs})
        result = vcpu.call(vcpu.routines[step], *list(arguments.values())[:4])
        for name, register in sequence.outputs:
            assert result == state.registers[register], name
        after = registers(cpu)
        spoilt = {*sequence.clobbers, *(register for _, register in sequence.outputs)}
        for register, value in {**before, **arguments}.items():
            assert register in spoilt or after[register] == value, register
        first = (vcpu.area.block - machine.virt(machine.memory.base)) // 8
        now = machine.memory.octets
        unequal = np.flatnonzero(memory != now) // 8
        assert set(unequal.tolist()) <= set(range(first, first + 16))


@pytest.mark.parametrize("step", ["flush_page", "flush_pages", "flush_all"])
def test_a_flush_forgets_what_its_effect_says(world: Lab, step: str) -> None:
    machine, cpu = world
    vcpu = cpu.vcpu
    assert machine.guest is not None
    size = machine.target.mode.page_size
    old, new = pages(machine, 2)
    first = machine.guest.text_va + 64 * size
    vas = [first + page * size for page in range(5)]

    def map_to(page: int) -> None:
        pfn = (page - machine.virt(0)) >> machine.target.mode.page_shift
        raw = machine.target.leaf(machine.target.mode.last.name, pfn, PgprotRole.KERNEL)
        for va in vas:
            machine.memory.write_word(machine.tables.find(va).slot, raw)

    map_to(old)
    cpu.flush_all()
    stale = [cpu.load_word(va) for va in vas]
    map_to(new)
    held = {"va": vas[1], "first": vas[1], "count": 3, "size": size}
    sequence = vcpu.routines[step].sequence
    state, _ = expected(machine, sequence, held)
    vcpu.call(vcpu.routines[step], *(held[name] for name, _ in sequence.inputs))
    fresh = machine.memory.read_word(new - machine.virt(0))
    assert fresh != stale[0]
    forgotten = vas if None in state.flushed else state.flushed
    assert forgotten
    assert [cpu.load_word(va) for va in vas if va in forgotten] == [fresh] * len(forgotten)
