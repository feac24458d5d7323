# SPDX-License-Identifier: GPL-2.0-only
"""What the machine answers for: found by symbol, held against BTF, and never two of one name."""

from __future__ import annotations

import struct
from collections import Counter

import pytest

from hvolab_kernel.code.stubs import STUBS, Argument, StubAction, outside_calls, stubs_of
from hvolab_vmlinux.errors import TypeInfoError
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.kernel_images import IMAGES
from tests.plugins.hvolab_kernel.code.made_up_code import x86_kernel_like_6_12
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, elf_image

#: What HVO's code calls in Debian's kernels and what is meant to run as it is.
HARMLESS = frozenset(
    {
        "__fentry__", "__list_add_valid", "__list_add_valid_or_report", "__list_del_entry_valid",
        "__list_del_entry_valid_or_report", "__memcpy", "__mmap_lock_do_trace_acquire_returned",
        "__mmap_lock_do_trace_released", "__mmap_lock_do_trace_start_locking", "__ubsan_handle_out_of_bounds",
        "__ubsan_handle_shift_out_of_bounds", "__x86_indirect_thunk_array", "__x86_return_thunk",
        "__pi___x86_indirect_thunk_rax", "__pi___x86_return_thunk", "_raw_spin_lock", "_raw_spin_unlock", "copy_page",
        "down_read", "flush_icache_pte", "pmd_populate_kernel.constprop.0",
        "register_page_bootmem_memmap", "up_read", "vmemmap_wrprotect_hvo", "walk_kernel_page_table_range",
        "walk_page_range_novma",
    }
)  # fmt: skip


def test_no_function_is_stood_in_for_twice() -> None:
    assert set(Counter(one.function for one in STUBS).values()) == {1}


@pytest.mark.parametrize(
    ("argument", "register", "value"),
    [
        (Argument("gfp", 4), 0xDEAD_00000DC0, 0xDC0),
        (Argument("node", 4, signed=True), 0xFFFFFFFF, -1),
        (Argument("node", 4, signed=True), 0xDEAD_00000001, 1),
        (Argument("delta", signed=True), 0xFFFFFFFFFFFFFFF9, -7),
        (Argument("page"), 0xFFFFEA0000000000, 0xFFFFEA0000000000),
    ],
)
def test_what_is_above_an_argument_in_its_register_is_noise(argument: Argument, register: int, value: int) -> None:
    assert struct.unpack(f"<{argument.layout}", register.to_bytes(8, "little")) == (value,)


def test_a_kernel_has_the_stand_ins_that_its_symbols_name() -> None:
    kernel = read_kernel(elf_image(x86_kernel_like_6_12()), "here")
    assert [(one.stub.function, one.stub.action) for one in stubs_of(kernel)] == [
        ("synchronize_rcu", StubAction.GRACE_PERIOD),
        ("memmap_pages_add", StubAction.COUNT_MEMMAP),
    ]
    assert outside_calls(kernel) == ("copy_page",)


def test_a_function_that_the_kernel_declares_otherwise_is_refused() -> None:
    built = BtfBuilder()
    built.function("memmap_pages_add", 0, [("delta", built.integer("int", 4, signed=True))])
    kernel = read_kernel(elf_image(MadeUp(btf=built.content())), "here")
    with pytest.raises(TypeInfoError, match=r"the kernel declares void memmap_pages_add\(int delta\)"):
        stubs_of(kernel)


@pytest.mark.parametrize("real_kernel", [one.name for one in IMAGES if one.architecture != "arm64"], indirect=True)
def test_debians_kernels_call_nothing_that_is_not_known(real_kernel: Kernel) -> None:
    placed = {one.stub.function: one for one in stubs_of(real_kernel)}
    assert placed["__free_pages"].prototype == "void __free_pages(struct page * page, unsigned int order)"
    assert {"split_page", "flush_tlb_kernel_range"} <= placed.keys()
    assert set(outside_calls(real_kernel)) <= HARMLESS
