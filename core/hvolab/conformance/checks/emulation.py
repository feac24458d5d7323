"""The emulation part: every sequence is the instructions that its text says, and every step of a CPU has one."""

from __future__ import annotations

from hvolab.arch import Access, EmulationPart, PagingMode, PgprotRole
from hvolab.conformance.capabilities import DISASSEMBLER, EMULATION, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import DescriptionError
from hvolab.machine import STRUCT_PAGE_V6_12

checks = Checks()


def _part(subject: Subject) -> EmulationPart:
    part = subject.architecture.emulation
    if part is None:
        raise DescriptionError("no emulation part", where=subject.architecture.name)
    return part


@checks.add(Scope.ARCHITECTURE, EMULATION)
def every_step_has_a_sequence(subject: Subject) -> None:
    """Each step of a CPU is declared, once, and finds, leaves and does what its contract says."""
    _part(subject).check()


@checks.add(Scope.ARCHITECTURE, EMULATION, DISASSEMBLER)
def every_sequence_is_its_text(subject: Subject) -> None:
    """A disassembler reads the bytes of each sequence as the text beside them."""
    import capstone  # noqa: PLC0415 - an optional tool, and nothing else of core needs one

    part = _part(subject)
    architecture, mode = (
        sum(getattr(capstone, constant) for constant in names.replace(" ", "").split("|"))
        for names in part.disassembler
    )
    for sequence in part.sequences:
        code = sequence.machine_code
        instructions = list(capstone.Cs(architecture, mode).disasm(code, 0))
        told = "; ".join(f"{each.mnemonic} {each.op_str}".rstrip() for each in instructions)
        read = sum(each.size for each in instructions)
        require(read == len(code), f"{sequence.step}: the bytes after {read} are no instructions", where=sequence.code)
        require(
            told == sequence.text,
            f"{sequence.step}: the bytes are {told!r}, the text says {sequence.text!r}",
            where=sequence.code,
        )


@checks.add(Scope.TARGET, EMULATION, SOUND)
def guest_text_is_executed_and_not_written(subject: Subject) -> None:
    """A page of guest text can be read and executed, cannot be written, and takes no fault for a flag."""
    target = subject.target
    last, mmu = target.mode.last.name, target.mmu
    raw = target.leaf(last, 0, PgprotRole.KERNEL_EXEC)
    granted = target.allowed(raw, tuple(target.table(level.name, 0) for level in target.mode.levels[:-1]))
    told = target.describe(last, raw)
    require(granted & Access.READ and granted & Access.EXECUTE, f"guest text cannot be executed: {told}", where=subject)
    require(not granted & Access.WRITE, f"guest text can be written: {told}", where=subject)
    require(mmu.accessed is None or mmu.accessed.accepts(raw), f"the accessed flag is clear in {told}", where=subject)


@checks.add(Scope.TARGET, EMULATION, SOUND)
def guest_text_lies_apart(subject: Subject) -> None:
    """The kernel's image, where guest text is mapped, is neither in the direct map nor in the vmemmap."""
    mode = subject.target.mode
    text = mode.text_base
    assert text is not None  # noqa: S101 - a sound description with an emulation part says where it is
    leaf = mode.levels[-2].size
    for title, base, size in (
        ("direct map", mode.direct_map_base, mode.direct_map_size),
        ("vmemmap", mode.vmemmap_base, _vmemmap_bytes(mode)),
    ):
        require(
            text + leaf <= base or text >= base + size,
            f"the kernel's image at VA {text:#x} is in the {title} from VA {base:#x} on",
            where=subject,
            hint="correct PagingMode.text_base",
        )


def _vmemmap_bytes(mode: PagingMode) -> int:
    """Struct pages of as much memory as the direct map can have, each at least as large as it is today."""
    return (mode.direct_map_size >> mode.page_shift) * STRUCT_PAGE_V6_12.size
