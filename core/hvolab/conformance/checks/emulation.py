"""The emulation part: the text of every sequence is that of its bytes, and every step of a CPU has a sequence."""

from __future__ import annotations

from hvolab.arch import Access, PgprotRole
from hvolab.conformance.capabilities import DISASSEMBLER, EMULATION, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import kernel_ranges
from hvolab.conformance.subject import Scope, Subject

checks = Checks()


@checks.add(Scope.ARCHITECTURE, EMULATION)
def every_step_has_a_sequence(subject: Subject) -> None:
    """Each step of a CPU is declared, once, with the inputs, outputs and effect of its contract."""
    assert subject.architecture.emulation is not None  # noqa: S101 - the check needs EMULATION
    subject.architecture.emulation.check()


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
    granted = target.allowed(raw, tuple(target.table(level.name, 0) for level in target.mode.levels[:-1]))
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
        require(
            text + mode.levels[-2].size <= base or text >= end,
            f"the kernel's image at VA {text:#x} is in the {title} from VA {base:#x} on",
            hint="correct PagingMode.text_base",
        )
