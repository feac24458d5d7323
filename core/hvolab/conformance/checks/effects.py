"""Instruction sequences carried out by an emulated CPU: each does what its effect says."""

from __future__ import annotations

from hvolab.conformance.capabilities import EMULATED_CPU, EMULATION, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.checks.machines import emulated_cpu, small_spec
from hvolab.conformance.effects import TrialPages, compare_effect, forgets, trials
from hvolab.conformance.effects.compare import Memory
from hvolab.conformance.subject import Scope, Subject
from hvolab.machine import build_machine

checks = Checks()

#: Steps that every trial of another one makes, that end somewhere else, or that only a fault begins.
_AROUND = {"enter", "leave", "wait", "jump", "handler"}


@checks.add(Scope.MODE, SOUND, EMULATION, EMULATED_CPU)
def every_sequence_does_what_its_effect_says(subject: Subject) -> None:
    """Each sequence, executed, changes memory and registers as its effect says, and nothing else.

    Registers may change that are outputs, or named among what the sequence clobbers.
    """
    machine = build_machine(subject.target, small_spec(subject.target))
    cpu, part = emulated_cpu(subject.architecture, machine)
    place = TrialPages.of(machine)
    for sequence in part.sequences:
        if sequence.step in _AROUND:
            continue
        place.fill()
        memory = Memory(machine)
        for inputs in trials(place, sequence.step):
            found = compare_effect(cpu, part, sequence, inputs, memory) or memory.elsewhere()
            told = ", ".join(f"{name} = {value:#x}" for name, value in inputs.items())
            require(
                not found,
                f"{sequence.step} with {told or 'no inputs'}: {found}",
                where=f"{subject}: {sequence.text}",
                hint=f"correct the sequence, or what it declares; its effect is {sequence.effect}",
            )


@checks.add(Scope.MODE, SOUND, EMULATION, EMULATED_CPU)
def every_flush_forgets_what_its_effect_says(subject: Subject) -> None:
    """After each flush, executed, the translations that it should forget are looked up again."""
    machine = build_machine(subject.target, small_spec(subject.target))
    cpu, part = emulated_cpu(subject.architecture, machine)
    place = TrialPages.of(machine)
    for sequence in part.sequences:
        if "tlb" not in sequence.effect:
            continue
        found = forgets(cpu, machine, sequence, place)
        require(not found, f"{sequence.step}: {found}", where=f"{subject}: {sequence.text}")
