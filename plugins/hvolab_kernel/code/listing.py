"""A function of a kernel as people read it: what each instruction refers to, and which ones store page-table entries.

A store of an entry is found by what it does, in one of four ways, each a candidate until the code has run:

- eight bytes are stored where a `pte_t *` (or `pmd_t *` …) points that the function was given, as BTF declares it;
- eight bytes are stored that were combined from the bits of a protection that the architecture plugin declares;
- eight bytes are stored, and the barriers follow at once that make an entry visible to the walker (arm64);
- a call goes through `pv_ops.mmu.set_pte` or a sister of it: there the store is in the function that it points at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hvolab.arch import Architecture, PgprotRole
from hvolab.errors import HvolabError
from hvolab.plugin import registry
from hvolab_kernel.code.dataflow import Registers, Value, ValueKind, registers_before
from hvolab_kernel.code.instructions import Function, Instruction, Operand, function_named
from hvolab_vmlinux.kernel import Kernel

_ENTRY_POINTER: Final = re.compile(r"\b(pte|pmd|pud|p4d|pgd)_t \*$")
#: Kernel: struct paravirt_patch_template in arch/x86/include/asm/paravirt_types.h, v6.12.
_PARAVIRT: Final = ("pv_ops", "paravirt_patch_template")
_PARAVIRT_STORE: Final = re.compile(r"\bset_(pte|pte_at|pmd|pud|p4d|pgd)$")
_ENTRY_SIZE: Final = 8
#: They build the upper part of an address, which by itself is none.
_FIRST_HALVES: Final = frozenset({"adrp", "auipc"})


@dataclass(frozen=True)
class Reference:
    """A VA that an instruction refers to: to jump or call there (`code`), or as data, and what is there in words."""

    va: int
    code: bool
    words: str


@dataclass(frozen=True)
class Line:
    """An instruction, what it refers to, and how it was found to store a page-table entry; empty: it was not."""

    instruction: Instruction
    references: tuple[Reference, ...]
    stores_entry: str = ""


@dataclass(frozen=True)
class Listing:
    """A function, line by line.

    prototype     as BTF declares it; empty where it does not
    architecture  the plugin's description of the kernel's architecture; None where there is no such plugin
    """

    function: Function
    lines: tuple[Line, ...]
    prototype: str
    architecture: Architecture | None

    @property
    def stores(self) -> tuple[Line, ...]:
        """The lines that store page-table entries, as candidates."""
        return tuple(line for line in self.lines if line.stores_entry)


def list_function(kernel: Kernel, name: str) -> Listing:
    """List the function of that name or VA; raises as `function_named` does."""
    function = function_named(kernel, name)
    architecture = architecture_of(kernel)
    given, prototype = _given(kernel, function)
    callees = {
        one.target: kernel.describe(one.target)
        for one in function.instructions
        if one.target is not None and one.mnemonic in function.dialect.calls
    }
    held = registers_before(function, given, protections_of(architecture), callees)
    lines = tuple(_line(kernel, function, index, registers) for index, registers in enumerate(held))
    return Listing(function, lines, prototype, architecture)


def callees(kernel: Kernel, name: str) -> frozenset[str]:
    """Names of the functions that a function calls, or jumps to at its end; raises as `function_named` does.

    Conditional branches are left out: those that leave a function go to parts of it that the compiler moved away, or
    stand in code that alternatives would be patched from.
    """
    function = function_named(kernel, name)
    leaving = function.dialect.calls | function.dialect.ends
    held = registers_before(function, {}, {}, {})
    targets = (
        one.target if one.target is not None else _through_register(one, registers)
        for one, registers in zip(function.instructions, held, strict=True)
        if one.mnemonic in leaving
    )
    return frozenset(
        kernel.describe(target) for target in targets if target is not None and not function.va <= target < function.end
    )


def returns_from(kernel: Kernel, name: str, target: int) -> tuple[int, ...]:
    """VAs in a function at which it goes on after it has called the function at ``target``.

    Raises as `function_named` does.
    """
    function = function_named(kernel, name)
    held = registers_before(function, {}, {}, {})
    return tuple(
        one.end
        for one, registers in zip(function.instructions, held, strict=True)
        if one.mnemonic in function.dialect.calls and target in (one.target, _through_register(one, registers))
    )


def architecture_of(kernel: Kernel) -> Architecture | None:
    """The description of the kernel's architecture, or None where no plugin has one."""
    known = registry().architectures().values()
    return next((one for one in known if one.elf_machine == kernel.image.machine), None)


def protections_of(architecture: Architecture | None) -> Mapping[int, str]:
    """Bits of a last-level entry, and the protections that have them, in all modes and releases."""
    if architecture is None:
        return {}
    found: dict[int, set[str]] = {}
    for release in architecture.releases:
        for mode in architecture.modes:
            try:
                target = architecture.select(mode.name, release=release)
                for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO):
                    found.setdefault(target.bits(mode.last.name, role), set()).add(role.value)
            except HvolabError:  # a protection that this mode or release does not have
                continue
    return {bits: " or ".join(sorted(names)) for bits, names in found.items()}


def _given(kernel: Kernel, function: Function) -> tuple[Registers, str]:
    """The pointers to entries that the function is given, by register, and its prototype in words."""
    if kernel.btf is None:
        return {}, ""
    prototype = kernel.types.prototype(function.name.partition(".")[0])
    if prototype is None:
        return {}, ""
    given = {
        register: Value(ValueKind.GIVEN, 0, f"{one.type}{one.name}")
        for register, one in zip(function.dialect.arguments, prototype.parameters, strict=False)
        if _ENTRY_POINTER.search(one.type)
    }
    return given, str(prototype)


def _line(kernel: Kernel, function: Function, index: int, held: Registers) -> Line:
    one = function.instructions[index]
    references = []
    target = one.target if one.target is not None else _through_register(one, held)
    if target is not None:
        inside = function.va <= target < function.end
        words = f"+{target - function.va:#x}" if inside else kernel.describe(target)
        references.append(Reference(target, code=True, words=words))
    elif one.mnemonic not in _FIRST_HALVES:
        for va in dict.fromkeys(_addresses(one, held)):
            segment = kernel.image.segment_of(va)
            if segment is not None and (not segment.per_cpu or _per_cpu(one)):
                references.append(Reference(va, code=False, words=_in_words(kernel, va)))
    return Line(one, tuple(references), _stores_entry(function, index, held, references))


def _through_register(one: Instruction, held: Registers) -> int | None:
    """Where riscv's far jumps and calls go: to a register that `auipc` has filled, plus a number."""
    if one.mnemonic not in {"jalr", "jr"} or not one.operands:
        return None
    base = next((held[operand.register] for operand in reversed(one.operands) if operand.register in held), None)
    if base is None or base.what is not ValueKind.NUMBER:
        return None
    return (base.number + sum(operand.number for operand in one.operands)) % (1 << 64)


def _addresses(one: Instruction, held: Registers) -> list[int]:
    """VAs that an instruction's operands are, or point at."""
    found = []
    for operand in one.operands:
        base = held.get(operand.register) if operand.register else None
        if operand.register and (base is None or base.what is not ValueKind.NUMBER):
            continue
        if not operand.memory and operand.register:
            continue
        found.append(((base.number if base else 0) + operand.number) % (1 << 64))
    if one.mnemonic.removeprefix("c.") in {"add", "addi"} and len(one.operands) == 3:
        base = held.get(one.operands[1].register)
        if base is not None and base.what is ValueKind.NUMBER and not one.operands[2].register:
            found.append((base.number + one.operands[2].number) % (1 << 64))
    return found


def _per_cpu(one: Instruction) -> bool:
    """Whether an address near zero is one of this CPU's data: x86_64 reaches that through GS."""
    return "gs:" in one.text


def _in_words(kernel: Kernel, va: int) -> str:
    words = kernel.describe(va)
    table, struct = _PARAVIRT
    if words.partition("+")[0] == table and kernel.btf is not None:
        path = kernel.types.path_at(struct, va - kernel.symbols.address(table))
        if path is not None:
            return f"{table}.{path.removesuffix('.func')}"
    return words


def _stores_entry(function: Function, index: int, held: Registers, references: list[Reference]) -> str:
    dialect, one = function.dialect, function.instructions[index]
    if one.mnemonic in dialect.calls:
        hooks = [found.words for found in references if _PARAVIRT_STORE.search(found.words)]
        return f"a call through {hooks[0]}" if hooks else ""
    place = _stored_to(one, function)
    if place is None:
        return ""
    how = "exchanged" if one.mnemonic in dialect.exchanges else "stored"
    base, value = held.get(place.register), _value(one, held)
    if base is not None and base.what is ValueKind.GIVEN and place.number == 0 and not place.index:
        return f"eight bytes are {how} where the parameter {base.name} points"
    if value is not None and value.what is ValueKind.ENTRY:
        return f"eight bytes are {how} that have the bits of {value.name}"
    following = [other for other in function.instructions[index + 1 : index + 5] if other.mnemonic != "nop"]
    words = tuple(f"{other.mnemonic} {other.text}".strip() for other in following[: len(dialect.publishing)])
    published = bool(dialect.publishing) and words == dialect.publishing
    return f"eight bytes are {how}, and {'; '.join(words)} follows" if published else ""


def _stored_to(one: Instruction, function: Function) -> Operand | None:
    """The place of an eight-byte store or exchange that is not on the stack; None for any other instruction."""
    dialect = function.dialect
    if one.mnemonic not in dialect.stores and one.mnemonic not in dialect.exchanges:
        return None
    place = next((operand for operand in one.operands if operand.memory), None)
    loads = one.mnemonic in dialect.moves and not one.operands[0].memory
    if place is None or loads or place.size not in {0, _ENTRY_SIZE} or place.register in dialect.stack:
        return None
    return place


def _value(one: Instruction, held: Registers) -> Value | None:
    values: list[Operand] = [operand for operand in one.operands if not operand.memory and operand.register]
    return held.get(values[-1].register) if values else None


def paravirtual_target(kernel: Kernel, line: Line) -> str:
    """The function that a call through a table of pointers goes to in the image as it is; empty where none shows."""
    for found in line.references:
        if not found.code and found.words.startswith(f"{_PARAVIRT[0]}."):
            return kernel.describe(kernel.image.word(found.va))
    return ""
