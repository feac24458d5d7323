# SPDX-License-Identifier: GPL-2.0-only
"""Listing of a kernel's function: each instruction, its references, and the stores of page-table entries.

A store of an entry is recognized by one of four signs. Each makes it a candidate, until the code has run:

- it stores eight bytes through a parameter of type `pte_t *` (or `pmd_t *` …), as BTF declares it;
- it stores eight bytes that were computed from the bits of a protection that the architecture plugin declares;
- it stores eight bytes, and the barriers that publish an entry to the walker follow at once (arm64);
- it calls through `pv_ops.mmu.set_pte` or a similar pointer: the store is in the function that the pointer names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hvolab.arch import Architecture, PgprotRole
from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import HvolabError
from hvolab.plugin import registry
from hvolab.serialize import Hex
from hvolab_kernel.code.calls import target_of
from hvolab_kernel.code.dataflow import Entry, Pointer, Registers, number_in, registers_before, stored_value
from hvolab_kernel.code.instructions import Function, Instruction, Operand, function_named
from hvolab_vmlinux.kernel import Kernel

_ENTRY_POINTER: Final = re.compile(r"\b(pte|pmd|pud|p4d|pgd)_t \*$")
#: Kernel: struct paravirt_patch_template in arch/x86/include/asm/paravirt_types.h, v6.12.
_PARAVIRT: Final = ("pv_ops", "paravirt_patch_template")
_PARAVIRT_STORE: Final = re.compile(r"\bset_(pte|pte_at|pmd|pud|p4d|pgd)$")
#: Instructions that build only the upper part of an address.
_FIRST_HALVES: Final = frozenset({"adrp", "auipc"})


@dataclass(frozen=True)
class Reference:
    """A VA that an instruction refers to, as the target of a jump or call (`code`) or as data, and its name."""

    va: Hex
    code: bool
    words: str = field(metadata={"data": "is"})


@dataclass(frozen=True)
class Line:
    """An instruction.

    stores_entry  the sign by which it stores an entry; empty: it does not
    goes_to       the function that a call through `pv_ops` goes to in the unpatched image; empty for other instructions
    """

    instruction: Instruction
    references: tuple[Reference, ...]
    stores_entry: str
    goes_to: str


@dataclass(frozen=True)
class Listing:
    """A function, line by line, and its prototype as BTF declares it; empty where it does not."""

    function: Function
    lines: tuple[Line, ...]
    prototype: str

    @property
    def stores(self) -> tuple[Line, ...]:
        """The lines that store page-table entries, as candidates."""
        return tuple(line for line in self.lines if line.stores_entry)


def list_function(kernel: Kernel, name: str) -> Listing:
    """List the function of that name or VA; raises as `function_named` does."""
    function = function_named(kernel, name)
    parameters, prototype = _parameters(kernel, function)
    callees = {
        one.target: kernel.describe(one.target)
        for one in function.instructions
        if one.target is not None and one.mnemonic in function.isa.calls
    }
    before = registers_before(function, parameters, protections_of(architecture_of(kernel)), callees)
    lines = tuple(_line(kernel, function, index, registers) for index, registers in enumerate(before))
    return Listing(function, lines, prototype)


def architecture_of(kernel: Kernel) -> Architecture | None:
    """Return the description of the kernel's architecture, or None where no plugin has one."""
    known = registry().architectures().values()
    return next((one for one in known if one.elf_machine == kernel.image.machine), None)


def protections_of(architecture: Architecture | None) -> Mapping[int, str]:
    """Return the names of the protections by their bits in a last-level entry, of all modes and releases."""
    if architecture is None:
        return {}
    names: dict[int, set[str]] = {}
    for release in architecture.releases:
        for mode in architecture.modes:
            try:
                target = architecture.select(mode.name, release=release)
                for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO):
                    names.setdefault(target.bits(mode.last.name, role), set()).add(role.value)
            except HvolabError:  # a protection that this mode or release does not have
                continue
    return {bits: " or ".join(sorted(roles)) for bits, roles in names.items()}


def _parameters(kernel: Kernel, function: Function) -> tuple[Registers, str]:
    """Return the function's parameters that point to entries, by register, and its prototype."""
    prototype = None if kernel.btf is None else kernel.types.prototype(function.name.partition(".")[0])
    if prototype is None:
        return {}, ""
    pointers = {
        register: Pointer(f"{one.type}{one.name}")
        for register, one in zip(function.isa.arguments, prototype.parameters, strict=False)
        if _ENTRY_POINTER.search(one.type)
    }
    return pointers, str(prototype)


def _line(kernel: Kernel, function: Function, index: int, registers: Registers) -> Line:
    one = function.instructions[index]
    references = []
    target = target_of(one, registers)
    if target is not None:
        inside = function.va <= target < function.end
        words = f"+{target - function.va:#x}" if inside else kernel.describe(target)
        references.append(Reference(target, code=True, words=words))
    elif one.mnemonic not in _FIRST_HALVES:
        for va in dict.fromkeys(_addresses(one, registers)):
            segment = kernel.image.segment_of(va)
            # x86_64 reaches per-CPU data, which is linked near zero, through GS
            if segment is not None and (not segment.per_cpu or "gs:" in one.text):
                references.append(Reference(va, code=False, words=_describe(kernel, va)))
    sign = _entry_store(function, index, registers, references)
    pointers = [found.va for found in references if not found.code and found.words.startswith(f"{_PARAVIRT[0]}.")]
    goes_to = kernel.describe(kernel.image.word(pointers[0])) if sign and pointers else ""
    return Line(one, tuple(references), sign, goes_to)


def _addresses(one: Instruction, registers: Registers) -> list[int]:
    """Return the VAs that an instruction's operands are, or point at."""
    found = []
    for operand in one.operands:
        base = number_in(registers, operand.register) if operand.register else 0
        if base is not None and (operand.memory or not operand.register):
            found.append((base + operand.number) % (1 << 64))
    if one.mnemonic.removeprefix("c.") in {"add", "addi"} and len(one.operands) == 3:
        base = number_in(registers, one.operands[1].register)
        if base is not None and not one.operands[2].register:
            found.append((base + one.operands[2].number) % (1 << 64))
    return found


def _describe(kernel: Kernel, va: int) -> str:
    words = kernel.describe(va)
    table, struct = _PARAVIRT
    if words.partition("+")[0] == table and kernel.btf is not None:
        path = kernel.types.path_at(struct, va - kernel.symbols.address(table))
        if path is not None:
            return f"{table}.{path.removesuffix('.func')}"
    return words


def _entry_store(function: Function, index: int, registers: Registers, references: list[Reference]) -> str:
    """Return the sign by which an instruction stores an entry; empty where there is none."""
    isa, one = function.isa, function.instructions[index]
    if one.mnemonic in isa.calls:
        pointers = [found.words for found in references if _PARAVIRT_STORE.search(found.words)]
        return f"a call through {pointers[0]}" if pointers else ""
    place = _stored_to(one, function)
    if place is None:
        return ""
    verb = "exchanges" if one.mnemonic in isa.exchanges else "stores"
    base, value = registers.get(place.register), stored_value(one, registers)
    if isinstance(base, Pointer) and place.number == 0 and not place.index:
        return f"{verb} eight bytes through the parameter {base.name}"
    if isinstance(value, Entry):
        return f"{verb} eight bytes with the bits of {value.name}"
    following = [other for other in function.instructions[index + 1 : index + 5] if other.mnemonic != "nop"]
    words = tuple(f"{other.mnemonic} {other.text}".strip() for other in following[: len(isa.publishing)])
    published = bool(isa.publishing) and words == isa.publishing
    return f"{verb} eight bytes, followed by {'; '.join(words)}" if published else ""


def _stored_to(one: Instruction, function: Function) -> Operand | None:
    """Return the memory operand of an eight-byte store or exchange off the stack; None for any other instruction."""
    isa = function.isa
    if one.mnemonic not in isa.stores and one.mnemonic not in isa.exchanges:
        return None
    place = one.memory
    loads = one.mnemonic in isa.moves and not one.operands[0].memory
    if place is None or loads or place.size not in {0, WORD_BYTES} or place.register in isa.stack:
        return None
    return place
