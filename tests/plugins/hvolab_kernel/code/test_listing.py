# SPDX-License-Identifier: GPL-2.0-only
"""Functions, disassembled: what instructions refer to, and which of them store page-table entries."""

from __future__ import annotations

import pytest

from hvolab_kernel.code.listing import Listing, list_function
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import (
    STORES,
    paravirtual_kernel,
    storing_kernel,
    x86_kernel_like_6_12,
)
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, elf_image, flat_image


def read(made: MadeUp) -> Kernel:
    return read_kernel(elf_image(made) if made.machine == "EM_X86_64" else flat_image(made), "here")


def listed(made: MadeUp, name: str = "vmemmap_remap_pte") -> Listing:
    return list_function(read(made), name)


@pytest.mark.parametrize("machine", STORES)
def test_a_store_where_a_parameter_points_is_marked_through_copies_of_it(machine: str) -> None:
    found = listed(storing_kernel(machine))
    assert found.prototype.startswith("void vmemmap_remap_pte(pte_t * pte, long unsigned int addr")
    (line,) = found.stores
    assert line is found.lines[1]
    assert line.stores_entry == "stores eight bytes through the parameter pte_t *pte"


@pytest.mark.parametrize(
    ("machine", "code", "how"),
    [
        # addi a4, zero, 0xe7; c.or s1, a4; sd s1, 0(s3)
        ("EM_RISCV", "1307700ed98c23b099008280", "with the bits of PAGE_KERNEL"),
        # str x1, [x2]; dsb ishst; isb
        ("EM_AARCH64", "410000f99f3a03d5df3f03d5c0035fd6", "followed by dsb ishst; isb"),
        # movabs rax, 0x8000000000000163; or rax, rcx; mov [rbx], rax
        ("EM_X86_64", "48b863010000000000804809c8488903c3", "with the bits of PAGE_KERNEL"),
    ],
)
def test_a_store_of_what_looks_like_an_entry_is_marked(machine: str, code: str, how: str) -> None:
    found = listed(MadeUp(machine, code={"filler_000": bytes.fromhex(code)}), "filler_000")
    assert [how in line.stores_entry for line in found.stores] == [True]


def test_stores_of_anything_else_are_not_marked() -> None:
    # mov [rdi + 8], rsi; mov dword ptr [rdi], esi; mov [rsp], rdi; mov rax, [rdi]; ret
    code = bytes.fromhex("48897708893748893c24488b07c3")
    assert listed(MadeUp(code={"vmemmap_remap_pte": code})).stores == ()


def test_a_call_through_the_table_of_paravirtual_operations_is_marked_and_followed() -> None:
    kernel = read(paravirtual_kernel())
    (line,) = list_function(kernel, "vmemmap_remap_pte").stores
    assert line.stores_entry == "a call through pv_ops.mmu.set_pte"
    assert line.goes_to == "native_set_pte"


def test_calls_and_jumps_have_names() -> None:
    made = x86_kernel_like_6_12()
    lines = listed(made, "hugetlb_vmemmap_optimize_folio").lines
    assert [one.words for line in lines[:2] for one in line.references] == ["copy_page", "synchronize_rcu"]


@pytest.mark.parametrize(
    ("machine", "code", "words"),
    [
        ("EM_X86_64", "488d0539000000eb00c3", ["filler_001", "+0x9"]),  # lea rax, [rip + 0x39]; jmp; ret
        ("EM_AARCH64", "0000009000100191c0035fd6", ["filler_001+0x4"]),  # adrp x0, 0; add x0, x0, 0x44
        ("EM_RISCV", "17050000130545048280", ["filler_001+0x4"]),  # auipc a0, 0; addi a0, a0, 0x44; ret
        ("EM_RISCV", "97000000e78000088280", ["filler_002"]),  # auipc ra, 0; jalr ra, 0x80(ra)
    ],
)
def test_data_and_far_calls_have_names(machine: str, code: str, words: list[str]) -> None:
    lines = listed(MadeUp(machine, code={"filler_000": bytes.fromhex(code)}), "filler_000").lines
    found = [one.words for line in lines for one in line.references]
    assert [word for word in found if "filler" in word or word.startswith("+")][: len(words)] == words
