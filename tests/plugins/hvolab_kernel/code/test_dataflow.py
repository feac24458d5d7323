# SPDX-License-Identifier: GPL-2.0-only
"""Values of registers, followed through copies, the stack, joining paths and calls."""

from __future__ import annotations

from collections.abc import Mapping

from hvolab_kernel.code.dataflow import Entry, Pointer, Registers, registers_before
from hvolab_kernel.code.instructions import Function, disassembled
from hvolab_kernel.code.isa import ISAS

POINTER = Pointer("pte_t *pte")


def before_last(
    machine: str, code: str, protections: Mapping[int, str] | None = None, callees: Mapping[int, str] | None = None
) -> Registers:
    """Registers before the last instruction, where the first argument is a pointer."""
    isa = ISAS[machine]
    instructions = disassembled(bytes.fromhex(code), 0x1000, isa)
    function = Function("function", 0x1000, instructions[-1].end, instructions, isa)
    return registers_before(function, {isa.arguments[0]: POINTER}, protections or {}, callees or {})[-1]


def test_a_pointer_is_followed_through_copies_and_the_stack() -> None:
    # mov [rsp + 8], rdi; xor edi, edi; mov rbx, [rsp + 8]; ret
    registers = before_last("EM_X86_64", "48897c240831ff488b5c2408c3")
    assert registers["rbx"] == POINTER
    assert "rdi" not in registers
    # str x0, [sp, #8]; mov x0, #0; ldr x19, [sp, #8]; ret
    registers = before_last("EM_AARCH64", "e00700f9000080d2f30740f9c0035fd6")
    assert (registers["x19"], registers["x0"]) == (POINTER, 0)


def test_an_address_of_two_instructions_is_one_number() -> None:
    # adrp x0, 0x1000; add x0, x0, 0x44; ret
    assert before_last("EM_AARCH64", "0000009000100191c0035fd6")["x0"] == 0x1044
    # auipc a0, 0; addi a0, a0, 0x44; ret
    assert before_last("EM_RISCV", "17050000130545048280")["a0"] == 0x1044


def test_a_number_with_the_bits_of_a_protection_is_an_entry_also_after_it_is_combined() -> None:
    # addi a4, zero, 0xe7; c.or s1, a4; ret
    registers = before_last("EM_RISCV", "1307700ed98c8280", {0xE7: "PAGE_KERNEL"})
    assert registers["s1"] == Entry("PAGE_KERNEL")


def test_where_two_paths_disagree_the_value_is_unknown_and_entries_keep_both_names() -> None:
    # mov eax, 1; je +5; mov eax, 2; ret
    code = "b8010000007405b802000000c3"
    assert "rax" not in before_last("EM_X86_64", code)
    registers = before_last("EM_X86_64", code, {1: "PAGE_KERNEL", 2: "PAGE_KERNEL_RO"})
    assert registers["rax"] == Entry("PAGE_KERNEL or PAGE_KERNEL_RO")


def test_a_call_clears_what_callees_may_change_unless_it_preserves_registers() -> None:
    code = "4889fbe800000000c3"  # mov rbx, rdi; call the next instruction; ret
    registers = before_last("EM_X86_64", code)
    assert (registers.get("rbx"), registers.get("rdi")) == (POINTER, None)
    assert before_last("EM_X86_64", code, callees={0x1008: "__fentry__"})["rdi"] == POINTER
