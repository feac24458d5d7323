# SPDX-License-Identifier: GPL-2.0-only
"""Functions by name or VA, and their instructions with operands and targets on every machine."""

from __future__ import annotations

import pytest

from hvolab_kernel.code.instructions import Operand, disassembled, function_named
from hvolab_kernel.code.isa import ISAS
from hvolab_vmlinux.errors import KernelImageError, SymbolError
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import STORES, storing_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, addresses, elf_image


def test_a_function_is_found_by_a_va_inside_it() -> None:
    made = storing_kernel("EM_X86_64")
    va = addresses(made)["vmemmap_remap_pte"]
    assert function_named(read_kernel(elf_image(made), "here"), f"{va + 3:#x}").va == va


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nothing", "no symbol 'nothing'"),
        ("0xzebra", "is not a VA"),
        ("0x1000", "VA 0x1000 is not in the image"),
        ("__stop_BTF", "has no bytes in the image"),
    ],
)
def test_what_is_no_function_is_refused(name: str, what: str) -> None:
    with pytest.raises((SymbolError, KernelImageError), match=what):
        function_named(read_kernel(elf_image(MadeUp()), "here"), name)


@pytest.mark.parametrize(
    ("machine", "pointer", "value"),
    [("EM_X86_64", "rbx", "rsi"), ("EM_AARCH64", "x19", "x1"), ("EM_RISCV", "s1", "a1")],
)
def test_a_store_has_the_same_operands_on_every_machine(machine: str, pointer: str, value: str) -> None:
    move, store, _ = disassembled(bytes.fromhex(STORES[machine]), 0x1000, ISAS[machine])
    assert move.written == {pointer}
    assert store.va == move.end
    (memory,) = (one for one in store.operands if one.memory)
    assert (memory.register, memory.number, memory.index) == (pointer, 0, "")
    assert [one.register for one in store.operands if not one.memory] == [value]


@pytest.mark.parametrize(
    ("machine", "code", "target"),
    [
        ("EM_X86_64", "e8fb0f0000", 0x2000),  # call
        ("EM_X86_64", "ffd0", None),  # call rax
        ("EM_AARCH64", "00040094", 0x2000),  # bl
        ("EM_RISCV", "ef000000", 0x1000),  # jal ra, 0
    ],
)
def test_direct_calls_have_a_target(machine: str, code: str, target: int | None) -> None:
    (call,) = disassembled(bytes.fromhex(code), 0x1000, ISAS[machine])
    assert call.target == target


def test_an_address_relative_to_the_instruction_is_absolute_and_unknown_bytes_are_kept() -> None:
    (load,) = disassembled(bytes.fromhex("488b0510000000"), 0x1000, ISAS["EM_X86_64"])  # mov rax, [rip + 0x10]
    assert load.operands[1] == Operand(number=0x1017, memory=True, size=8)
    (unknown,) = disassembled(b"\xff\xff\xff\xff", 0x1000, ISAS["EM_AARCH64"])
    assert (unknown.code, unknown.operands, unknown.written) == (b"\xff\xff\xff\xff", (), frozenset())
