"""Accesses through every combination of entries, on an emulated CPU and on the model."""

from __future__ import annotations

from hvolab.arch import CpuMode
from hvolab.conformance.capabilities import EMULATED_CPU, EMULATION, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.checks.machines import emulated_cpu
from hvolab.conformance.mmu.compare import compare_walks
from hvolab.conformance.mmu.enumerate import cases
from hvolab.conformance.mmu.lab import lay_out
from hvolab.conformance.subject import Scope, Subject

checks = Checks()


@checks.add(Scope.MODE, SOUND, EMULATION, EMULATED_CPU)
def accesses_match_the_prediction(subject: Subject) -> None:
    """Every access through every combination of entries has on an emulated CPU the result that the model predicts.

    All bits that decide are combined, at every level, and every other bit is set by itself. Loads, stores, fetches and
    atomic operations are compared by what they report, read, store, and change in the tables. After kvm-unit-tests'
    access.
    """
    _compare(subject, None)


@checks.add(Scope.MODE, SOUND, EMULATION, EMULATED_CPU)
def accesses_match_the_prediction_in_other_cpu_modes(subject: Subject) -> None:
    """The same with other control registers than the kernel's, for all bits that decide in such a mode of the CPU."""
    part = subject.architecture.emulation
    for mode in part.cpu_modes if part is not None else ():
        _compare(subject, mode)


def _compare(subject: Subject, cpu_mode: CpuMode | None) -> None:
    target = subject.target if cpu_mode is None else subject.target.in_cpu_mode(cpu_mode)
    lab = lay_out(target)
    cpu, part = emulated_cpu(subject.architecture, lab.machine)
    found = compare_walks(lab, cpu, cases(lab, every_bit=cpu_mode is None), part.walk_limits(target))
    for mismatch in found.mismatches[:1]:
        require(
            holds=False,
            what=f"{len(found.mismatches)} of {found.cases} accesses differ, the first: {mismatch}",
            where=f"{subject}{'' if cpu_mode is None else f', {cpu_mode.name}'}",
            hint="correct the entry format or MmuRules; declare an error of the emulator as a WalkLimit",
        )
