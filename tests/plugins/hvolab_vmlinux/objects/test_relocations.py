# SPDX-License-Identifier: GPL-2.0-only
"""Relocations: instructions that a disassembler reads with the address that was filled in."""

from __future__ import annotations

import pytest

from hvolab_vmlinux.errors import ObjectFileError
from hvolab_vmlinux.objects.elf_object import ObjectRelocation
from hvolab_vmlinux.objects.relocations import OBJECT_MACHINES, Addresses, relocate

BASE = 0xFFFFFFFF80000000
ENTRY = BASE + 0x5000
capstone = pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[kernel]'")


def relocated(machine: str, code: bytes, symbol: int, *relocations: tuple[int, int, int]) -> bytes:
    """Return code at `BASE` with relocations of one symbol: offset, type, addend."""
    content = bytearray(code)
    rows = [ObjectRelocation(offset, kind, 1, addend) for offset, kind, addend in relocations]
    addresses = Addresses(lambda _: symbol, lambda _: ENTRY)
    relocate(content, BASE, rows, OBJECT_MACHINES[machine].types, addresses, "made-up.o")
    return bytes(content)


def listed(machine: str, code: bytes) -> list[str]:
    names = {
        "EM_X86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        "EM_AARCH64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
        "EM_RISCV": (capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC),
    }
    return [f"{one.mnemonic} {one.op_str}" for one in capstone.Cs(*names[machine]).disasm(code, BASE)]


@pytest.mark.parametrize(
    ("machine", "code", "symbol", "relocations", "lines"),
    [
        ("EM_X86_64", "e800000000", BASE + 0x40, [(1, 4, -4)], ["call 0xffffffff80000040"]),
        ("EM_X86_64", "48c7c700000000", BASE + 0x40, [(3, 11, 8)], ["mov rdi, 0xffffffff80000048"]),
        ("EM_X86_64", "488b0500000000", BASE, [(3, 42, -4)], ["mov rax, qword ptr [rip + 0x4ff9]"]),
        ("EM_AARCH64", "00000094", BASE + 0x40, [(0, 283, 0)], ["bl #0xffffffff80000040"]),
        ("EM_AARCH64", "0000009000000091", BASE + 0x12345678, [(0, 275, 0), (4, 277, 0)],
         ["adrp x0, #0xffffffff92345000", "add x0, x0, #0x678"]),
        ("EM_AARCH64", "00000090000040f9", BASE + 0x2010, [(0, 275, 0), (4, 286, 0)],
         ["adrp x0, #0xffffffff80002000", "ldr x0, [x0, #0x10]"]),
        ("EM_AARCH64", "00000090000040f9", BASE, [(0, 311, 0), (4, 312, 0)],
         ["adrp x0, #0xffffffff80005000", "ldr x0, [x0]"]),
        ("EM_RISCV", "97000000e7800000", BASE + 0x12FFC, [(0, 19, 0)], ["auipc ra, 0x13", "jalr ra, ra, -4"]),
        ("EM_RISCV", "ef000000", BASE + 0x804, [(0, 17, 0)], ["jal 0x804"]),
        ("EM_RISCV", "6304b500", BASE - 0x10, [(0, 16, 0)], ["beq a0, a1, -0x10"]),
        ("EM_RISCV", "01a0", BASE + 0x22, [(0, 45, 0)], ["c.j 0x22"]),
        ("EM_RISCV", "01c1", BASE + 0x22, [(0, 44, 0)], ["c.beqz a0, 0x22"]),
        ("EM_RISCV", "17050000", BASE, [(0, 20, 0)], ["auipc a0, 5"]),
    ],
)  # fmt: skip
def test_an_instruction_refers_to_the_address(
    machine: str, code: str, symbol: int, relocations: list[tuple[int, int, int]], lines: list[str]
) -> None:
    assert listed(machine, relocated(machine, bytes.fromhex(code), symbol, *relocations)) == lines


def test_the_low_part_of_a_pair_belongs_to_the_high_part_that_its_symbol_names() -> None:
    target = {1: BASE + 0x1FFC, 2: BASE + 4}
    content = bytearray.fromhex("01000100") + bytearray.fromhex("1705000003350500")
    rows = [ObjectRelocation(8, 24, 2, 0), ObjectRelocation(4, 23, 1, 0)]
    types = OBJECT_MACHINES["EM_RISCV"].types
    relocate(content, BASE, rows, types, Addresses(target.__getitem__, lambda _: 0), "made-up.o")
    assert listed("EM_RISCV", bytes(content))[2:] == ["auipc a0, 2", "ld a0, -8(a0)"]
    with pytest.raises(ObjectFileError, match="has no partner"):
        relocate(content, BASE, rows[:1], types, Addresses(target.__getitem__, lambda _: 0), "made-up.o")


def test_distances_between_symbols_are_added_and_subtracted() -> None:
    values = {1: 0x120, 2: 0x100}
    content = bytearray(b"\0\0\0\0\xc0")
    rows = [ObjectRelocation(0, 35, 1, 0), ObjectRelocation(0, 39, 2, 0), ObjectRelocation(4, 53, 1, 1)]
    addresses = Addresses(values.__getitem__, lambda _: 0)
    relocate(content, BASE, rows, OBJECT_MACHINES["EM_RISCV"].types, addresses, "made-up.o")
    assert content == b"\x20\0\0\0\xe1"


def test_what_cannot_be_applied_is_an_error() -> None:
    with pytest.raises(ObjectFileError, match="type 77 is unknown"):
        relocated("EM_X86_64", bytes(8), BASE, (0, 77, 0))
    with pytest.raises(ObjectFileError, match="beyond the section's end"):
        relocated("EM_X86_64", bytes(8), BASE, (4, 1, 0))
    with pytest.raises(ObjectFileError, match="PC32 does not reach its target"):
        relocated("EM_X86_64", bytes(8), 0xFFFF888000000000, (0, 2, 0))
    with pytest.raises(ObjectFileError, match="32 does not reach"):
        relocated("EM_X86_64", bytes(8), BASE, (0, 10, 0))


@pytest.mark.parametrize(
    ("machine", "lines"),
    [
        ("EM_X86_64", ["jmp 0xffffffff80123456"]),
        ("EM_AARCH64", ["b #0xffffffff80123454"]),
        ("EM_RISCV", ["auipc t1, 0x123", "jalr zero, t1, 0x456"]),
    ],
)
def test_jumps_between_functions_and_static_branches_reach_their_targets(machine: str, lines: list[str]) -> None:
    known = OBJECT_MACHINES[machine]
    target = BASE + 0x123456 - (2 if machine == "EM_AARCH64" else 0)
    assert listed(machine, known.jump.code(BASE, target)) == lines
    for nop, jump in known.branches:
        assert len(nop) == len(jump.code(BASE, BASE + 0x40))
        assert "0x" in listed(machine, jump.code(BASE, BASE + 0x40))[0]
