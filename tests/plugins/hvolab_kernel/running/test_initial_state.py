# SPDX-License-Identifier: GPL-2.0-only
"""Initial state of a kernel's data, by kernel and placement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.plugin import registry
from hvolab_kernel.comparison import target_of
from hvolab_kernel.running.initial_state import Placement, initial_words, modes_of
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import HVO_6_12, MadeUp, addresses, flat_image

FOUR_LEVEL = Placement(0, 0x1000000, 0xFFFF888000000000, 0xFFFFEA0000000000, 0xFFFFFFFF81000000, 4)
FIVE_LEVEL = Placement(0, 0x1000000, 0xFF11000000000000, 0xFFD4000000000000, 0xFFFFFFFF81000000, 5)
SV39 = Placement(0x80000000, 0x80200000, 0xFFFFFFD600000000, 0xFFFFFFC500000000, 0xFFFFFFFF80000000, 3)


def test_arm64_gets_the_words_of_its_address_arithmetic() -> None:
    made = MadeUp("EM_AARCH64", symbols=(*HVO_6_12, "memstart_addr", "kimage_voffset", "static_key_initialized"))
    kernel = read_kernel(flat_image(made), "here")
    at = Placement(0x40000000, 0x40200000, 0xFFFF000000000000, 0xFFFFFDFFC0000000, made.base, 4)
    where = addresses(made)
    assert [(word.va, word.size, word.value) for word in initial_words(kernel, at)] == [
        (where["vmemmap_optimize_enabled"], 1, 1),
        (where["memstart_addr"], 8, 0x40000000),
        (where["kimage_voffset"], 8, made.base - 0x40200000),
        (where["static_key_initialized"], 1, 1),
    ]


@pytest.mark.parametrize("features", [frozenset(), frozenset({"kpti"})], ids=["plain", "kpti"])
def test_page_table_isolation_of_arm64_is_a_variable(features: frozenset[str]) -> None:
    names = ("memstart_addr", "kimage_voffset", "static_key_initialized", "arm64_use_ng_mappings")
    made = MadeUp("EM_AARCH64", symbols=(*HVO_6_12, *names))
    words = initial_words(read_kernel(flat_image(made), "here"), replace(FOUR_LEVEL, features=features))
    assert {word.va: word.value for word in words}[addresses(made)[names[-1]]] == len(features)


def test_a_missing_variable_that_is_required_is_refused() -> None:
    kernel = read_kernel(flat_image(MadeUp("EM_AARCH64")), "here")
    with pytest.raises(KernelImageError, match="the kernel has no memstart_addr, which boot writes for"):
        initial_words(kernel, FOUR_LEVEL)


@pytest.mark.parametrize(
    ("page_size", "more", "modes"),
    [
        (0x1000, (), ["4K-48bit"]),
        (0x1000, ("vabits_actual",), ["4K-52bit"]),
        (0x1000, ("__pi_id_aa64mmfr0_override",), ["4K-52bit"]),
        (0x4000, (), ["16K-48bit"]),
        (0x10000, (), ["64K-48bit"]),
        (0x2000, (), []),
    ],
)
def test_an_arm64_kernel_runs_in_the_mode_of_its_configuration(
    page_size: int, more: tuple[str, ...], modes: list[str]
) -> None:
    between = tuple(f"between_{number}" for number in range(page_size // 64 - 1))
    symbols = (*HVO_6_12, "reserved_pg_dir", *between, "swapper_pg_dir", *more)
    kernel = read_kernel(flat_image(MadeUp("EM_AARCH64", symbols=symbols)), "here")
    arm64 = registry().architecture("arm64")
    assert [mode.name for mode in modes_of(kernel, arm64.modes)] == modes
    assert target_of(kernel).mode.name == (modes or [arm64.modes[0].name])[0]


def test_kernels_that_select_their_mode_at_boot_run_in_all() -> None:
    kernel = read_kernel(flat_image(MadeUp("EM_RISCV")), "here")
    riscv = registry().architecture("riscv")
    assert modes_of(kernel, riscv.modes) == riscv.modes
    assert modes_of(read_kernel(flat_image(MadeUp("EM_AARCH64")), "here"), riscv.modes) == ()


@pytest.mark.parametrize("real_kernel", ["x86_64-6.1", "x86_64-6.12", "x86_64-7.x"], indirect=True)
def test_x86_images_hold_all_words_of_4_level_paging_but_the_switch(real_kernel: Kernel) -> None:
    image = real_kernel.image
    changed = [
        word.va for word in initial_words(real_kernel, FOUR_LEVEL) if image.word(word.va, word.size) != word.value
    ]
    assert changed == [real_kernel.symbols.address("vmemmap_optimize_enabled")]
    isolated = replace(FOUR_LEVEL, features=frozenset({"pti"}))
    words = {word.va: word.value for word in initial_words(real_kernel, isolated)}
    assert words[real_kernel.symbols.address("__default_kernel_pte_mask")] == (1 << 64) - 1 - (1 << 8)
    for_five = [word for word in initial_words(real_kernel, FIVE_LEVEL) if image.word(word.va, word.size) != word.value]
    assert len(for_five) >= 5


@pytest.mark.parametrize("real_kernel", ["riscv64-6.12", "riscv64-7.x"], indirect=True)
def test_riscv_gets_its_kernel_map(real_kernel: Kernel) -> None:
    words = {word.va: word.value for word in initial_words(real_kernel, SV39)}
    kernel_map, offset = real_kernel.symbols.address("kernel_map"), real_kernel.types.offset
    assert words[kernel_map + offset("kernel_mapping", "page_offset")] == SV39.direct_map
    assert words[kernel_map + offset("kernel_mapping", "va_pa_offset")] == SV39.direct_map - SV39.ram
    assert words[real_kernel.symbols.address("satp_mode")] == 8 << 60
    for name in ("pgtable_l4_enabled", "pgtable_l5_enabled"):
        assert words[real_kernel.symbols.address(name)] == 0
    assert real_kernel.symbols.find("swapper_pg_dir") is not None
