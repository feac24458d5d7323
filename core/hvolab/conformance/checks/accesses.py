"""Accesses through every combination of entries, on a CPU that is not the model."""

from __future__ import annotations

from hvolab.arch import CpuMode
from hvolab.conformance.capabilities import EMULATED_CPU, EMULATION, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.checks.machines import emulated_cpu
from hvolab.conformance.mmu import cases, compare_walks
from hvolab.conformance.mmu.lab import lay_out
from hvolab.conformance.subject import Scope, Subject

checks = Checks()


@checks.add(Scope.MODE, SOUND, EMULATION, EMULATED_CPU)
def accesses_come_out_as_the_description_foretells(subject: Subject) -> None:
    """Every access through every combination of entries does on an emulated CPU what the description foretells.

    All that decides is combined, at every level, and every other bit set by itself; loads, stores, fetches and atomic
    operations are compared by what is reported, read, stored, and changed in the tables. After kvm-unit-tests' access.
    """
    _compare(subject, None)


@checks.add(Scope.MODE, SOUND, EMULATION, EMULATED_CPU)
def accesses_come_out_as_foretold_in_other_cpu_modes(subject: Subject) -> None:
    """The same where the CPU's control registers are not the kernel's, for all that decides in such a state."""
    part = subject.architecture.emulation
    for mode in part.cpu_modes if part is not None else ():
        _compare(subject, mode)


def _compare(subject: Subject, cpu_mode: CpuMode | None) -> None:
    target = subject.target if cpu_mode is None else subject.target.in_cpu_mode(cpu_mode)
    lab = lay_out(target)
    cpu, part = emulated_cpu(subject.architecture, lab.machine)
    found = compare_walks(lab, cpu, cases(lab, every_bit=cpu_mode is None), part.walk_limits(target))
    require(
        not found.mismatches,
        f"{len(found.mismatches)} of {found.cases} accesses come out otherwise, the first: "
        f"{found.mismatches[0] if found.mismatches else ''}",
        where=f"{subject}{'' if cpu_mode is None else f', {cpu_mode.name}'}",
        hint="correct the entry format or MmuRules; what the emulator does wrong is declared as a WalkLimit",
    )
