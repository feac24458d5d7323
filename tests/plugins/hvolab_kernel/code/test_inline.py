# SPDX-License-Identifier: GPL-2.0-only
"""Flushes and static keys that a kernel does by instructions of its own, found in HVO's code."""

from __future__ import annotations

import struct

import pytest

from hvolab_kernel.code.hvo_functions import hvo_functions
from hvolab_kernel.code.instructions import disassembled
from hvolab_kernel.code.isa import ISAS
from hvolab_kernel.code.stubs import INLINE, Argument, StubAction, inline_of
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.kernel_builds import IMAGES
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, addresses, elf_image

TEXTS = {
    0xD508831F: "tlbi vmalle1is",
    0xD50883E3: "tlbi vaale1is, x3",
    0xD50883FF: "tlbi vaale1is, xzr",
    0xD50883A5: "tlbi vale1is, x5",
    0xD5033A9F: "dsb ishst",
    0xD5033B9F: "dsb ish",
    0x88097D48: "stxr w9, w8, [x10]",
    0x880BFFEC: "stlxr w11, w12, [sp]",
    0x885F7D48: "ldxr w8, [x10]",
    0xD65F03C0: "ret",
}
CODE = struct.pack(f"<{len(TEXTS)}I", *TEXTS)


def test_the_instructions_of_this_test_are_what_the_disassembler_says() -> None:
    found = disassembled(CODE, 0, ISAS["EM_AARCH64"])
    assert [f"{one.mnemonic} {one.text}".strip() for one in found] == list(TEXTS.values())


def test_they_are_found_in_hvos_code_with_the_registers_that_they_take_and_nowhere_else() -> None:
    made = MadeUp("EM_AARCH64", code={"vmemmap_remap_pte": CODE, "copy_page": CODE})
    start = addresses(made)["vmemmap_remap_pte"]
    found = inline_of(read_kernel(elf_image(made), "here"))
    assert [((one.va - start) // 4, one.stub.action, one.registers) for one in found] == [
        (0, StubAction.FLUSH_ALL_BEGUN, ()),
        (1, StubAction.FLUSH_PAGE_BEGUN, ("X3",)),
        (2, StubAction.FLUSH_PAGE_BEGUN, (None,)),
        (3, StubAction.STOP, ()),
        (5, StubAction.FLUSHES_DONE, ()),
        (6, StubAction.KEY_STORED, ("X10", "X8")),
        (7, StubAction.KEY_STORED, (None, "X12")),
    ]


@pytest.mark.parametrize(
    ("register", "va"),
    [
        (0x000DFFC0000, 0x00000DFFC0000000),
        (0xFFFDFFC0000, 0xFFFFFDFFC0000000),
        (0x1234 << 48 | 0xB << 44 | 0xFFFDFFC0010, 0xFFFFFDFFC0010000),  # ASID and TTL are no part of it
    ],
)
def test_the_operand_of_a_flush_is_the_va_of_a_page(register: int, va: int) -> None:
    assert Argument("va", page=True).value(register) == va


def test_other_machines_kernels_have_functions_for_all_that() -> None:
    assert INLINE.keys() == {"EM_AARCH64"}
    assert inline_of(read_kernel(elf_image(MadeUp(code={"vmemmap_remap_pte": CODE})), "here")) == ()


@pytest.mark.parametrize("real_kernel", [one.name for one in IMAGES], indirect=True)
def test_every_flush_in_the_code_of_a_built_kernel_is_one_that_is_known(real_kernel: Kernel) -> None:
    isa, symbols = ISAS["EM_AARCH64"], real_kernel.symbols
    flushes: dict[int, str] = {}
    for name in hvo_functions(real_kernel):
        va = symbols.address(name)
        code = real_kernel.image.read(va, (symbols.end(va) or va) - va)
        flushes |= {one.va: one.text for one in disassembled(code, va, isa) if one.mnemonic == "tlbi"}
    found = {one.va: one.stub for one in inline_of(real_kernel)}
    assert {text.partition(",")[0] for text in flushes.values()} == {"vmalle1is", "vaale1is"}
    for va, text in flushes.items():
        assert found[va].function == f"tlbi {text.partition(',')[0]}"
    assert StubAction.STOP not in {one.action for one in found.values()}
