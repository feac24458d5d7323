# SPDX-License-Identifier: GPL-2.0-only
"""Calls of a function, direct and through a register, and the places that they return to."""

from __future__ import annotations

import pytest

from hvolab_kernel.code.calls import callees, returns_from
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import x86_kernel_like_6_12
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, addresses, elf_image, flat_image

OPTIMIZE = "hugetlb_vmemmap_optimize_folio"


def test_the_functions_that_a_function_calls_have_names() -> None:
    kernel = read_kernel(elf_image(x86_kernel_like_6_12()), "here")
    assert callees(kernel, OPTIMIZE) == {"copy_page", "synchronize_rcu"}


def test_a_call_returns_behind_itself() -> None:
    made = x86_kernel_like_6_12()
    kernel, where = read_kernel(elf_image(made), "here"), addresses(made)
    assert returns_from(kernel, OPTIMIZE, where["copy_page"]) == (where[OPTIMIZE] + 5,)
    assert returns_from(kernel, OPTIMIZE, where["synchronize_rcu"]) == (where[OPTIMIZE] + 10,)
    assert returns_from(kernel, OPTIMIZE, where["linux_banner"]) == ()


@pytest.mark.parametrize(
    ("machine", "code", "called"),
    [
        ("EM_RISCV", "97000000e78000088280", {"filler_002"}),  # auipc ra, 0; jalr ra, 0x80(ra); ret
        ("EM_X86_64", "eb3e", {"filler_001"}),  # jmp: a call at the function's end
        ("EM_X86_64", "743ec3", set()),  # je: a part of the function that the compiler moved away
    ],
)
def test_far_calls_and_jumps_at_the_end_count_and_branches_do_not(machine: str, code: str, called: set[str]) -> None:
    made = MadeUp(machine, code={"filler_000": bytes.fromhex(code)})
    kernel = read_kernel(elf_image(made) if machine == "EM_X86_64" else flat_image(made), "here")
    assert {name for name in callees(kernel, "filler_000") if "+" not in name} == called
