# SPDX-License-Identifier: GPL-2.0-only
"""The emulation part: sequences and their text, their effects when executed, and accesses through all entries."""

from __future__ import annotations

from hvolab.arch import Access, CpuMode, PgprotRole
from hvolab.conformance.capabilities import DISASSEMBLER, EMULATED_CPU, EMULATION, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.checks.machines import emulated_cpu, small_spec
from hvolab.conformance.effects.compare import ExpectedMemory, compare_effect, stale_after
from hvolab.conformance.effects.trials import TrialPages, trials
from hvolab.conformance.mmu.compare import compare_walks
from hvolab.conformance.mmu.enumerate import cases
from hvolab.conformance.mmu.lab import lay_out
from hvolab.conformance.queries import kernel_ranges, kernel_tables
from hvolab.conformance.subject import Scope, Subject
from hvolab.machine import build_machine

checks = Checks()


@checks.add(Scope.ARCHITECTURE, EMULATION, DISASSEMBLER)
def every_sequence_is_its_text(subject: Subject) -> None:
    """A disassembler prints the bytes of each sequence as the declared text."""
    import capstone  # noqa: PLC0415 - an optional tool, and nothing else of core needs one

    part = subject.architecture.emulation
    assert part is not None  # noqa: S101 - the check needs EMULATION
    architecture, mode = (
        sum(getattr(capstone, constant) for constant in names.replace(" ", "").split("|"))
        for names in part.disassembler
    )
    for sequence in part.sequences:
        code = sequence.machine_code
        instructions = list(capstone.Cs(architecture, mode).disasm(code, 0))
        text = "; ".join(f"{each.mnemonic} {each.op_str}".rstrip() for each in instructions)
        read = sum(each.size for each in instructions)
        what = f"{sequence.step}: the bytes from {read} on are not instructions"
        require(read == len(code), what, where=sequence.code)
        what = f"{sequence.step}: the bytes are {text!r}, the declared text is {sequence.text!r}"
        require(text == sequence.text, what, where=sequence.code)


@checks.add(Scope.TARGET, EMULATION, SOUND)
def guest_text_is_executed_and_not_written(subject: Subject) -> None:
    """A page of guest text can be read and executed, cannot be written, and takes no fault for a flag."""
    target = subject.target
    last, mmu = target.mode.last.name, target.mmu
    raw = target.leaf(last, 0, PgprotRole.KERNEL_EXEC)
    granted = target.allowed(raw, tuple(kernel_tables(target).values()))
    entry = target.describe(last, raw)
    require(granted & Access.READ and granted & Access.EXECUTE, f"guest text cannot be executed: {entry}")
    require(not granted & Access.WRITE, f"guest text can be written: {entry}")
    require(mmu.accessed is None or mmu.accessed.accepts(raw), f"the accessed flag is clear in {entry}")


@checks.add(Scope.TARGET, EMULATION, SOUND)
def guest_text_is_outside_direct_map_and_vmemmap(subject: Subject) -> None:
    """The kernel's image, where guest text is mapped, is neither in the direct map nor in the vmemmap."""
    mode = subject.target.mode
    text = mode.text_base
    assert text is not None  # noqa: S101 - a sound description with an emulation part declares it
    for title, base, end in kernel_ranges(mode):
        what = f"the kernel's image at VA {text:#x} is in the {title} from VA {base:#x} on"
        require(text + mode.levels[-2].size <= base or text >= end, what, hint="correct PagingMode.text_base")


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
