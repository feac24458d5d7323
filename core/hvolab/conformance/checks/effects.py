"""Effects of instruction sequences that an emulated CPU executes."""

from __future__ import annotations

from hvolab.conformance.capabilities import EMULATED_CPU, EMULATION, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.checks.machines import emulated_cpu, small_spec
from hvolab.conformance.effects.compare import ExpectedMemory, compare_effect, stale_after
from hvolab.conformance.effects.trials import TrialPages, trials
from hvolab.conformance.subject import Scope, Subject
from hvolab.machine import build_machine

checks = Checks()

#: Sequences that are part of every routine, that end elsewhere, or that only a fault begins.
_NOT_TRIED = {"enter", "leave", "wait", "jump", "handler"}


@checks.add(Scope.MODE, SOUND, EMULATION, EMULATED_CPU)
def every_sequence_has_its_declared_effect(subject: Subject) -> None:
    """Each sequence, executed, changes memory and registers as its effect declares, and nothing else.

    Outputs, and registers among the sequence's clobbers, may change.
    """
    machine = build_machine(subject.target, small_spec(subject.target))
    cpu, part = emulated_cpu(subject.architecture, machine)
    pages = TrialPages.of(machine)
    for sequence in part.sequences:
        if sequence.step in _NOT_TRIED:
            continue
        pages.fill()
        memory = ExpectedMemory(machine)
        for inputs in trials(pages, sequence.step):
            found = compare_effect(cpu, part, sequence, inputs, memory) or memory.elsewhere()
            values = ", ".join(f"{name} = {value:#x}" for name, value in inputs.items())
            require(
                not found,
                f"{sequence.step} with {values or 'no inputs'}: {found}",
                where=f"{subject}: {sequence.text}",
                hint=f"correct the sequence, or its declared effect, {sequence.effect}",
            )


@checks.add(Scope.MODE, SOUND, EMULATION, EMULATED_CPU)
def every_flush_has_its_declared_effect(subject: Subject) -> None:
    """After each flush, executed, the translations that its effect names are looked up again."""
    machine = build_machine(subject.target, small_spec(subject.target))
    cpu, part = emulated_cpu(subject.architecture, machine)
    pages = TrialPages.of(machine)
    for sequence in part.sequences:
        if "tlb" in sequence.effect:
            found = stale_after(cpu, machine, sequence, pages)
            require(not found, f"{sequence.step}: {found}", where=f"{subject}: {sequence.text}")
