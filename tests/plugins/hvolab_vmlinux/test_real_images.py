# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels, where they were fetched: everything that hvolab reads of them, and how long that takes."""

from __future__ import annotations

import pytest

from hvolab_vmlinux.containers.unwrap import unwrap
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel
from hvolab_vmlinux.symbols.fallback import symbols_by_vmlinux_to_elf
from hvolab_vmlinux.symbols.table import SymbolTable
from tests.kernel_images import IMAGES, images_directory

ALL = [image.name for image in IMAGES]


def of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("real_kernel", names, indirect=True)


@of(*ALL)
def test_an_image_is_read_whole(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["real_kernel"]
    architecture, release = name.rsplit("-", 1)
    kernel, symbols = real_kernel, real_kernel.symbols
    assert kernel.lacks == ()
    assert kernel.image.release.startswith(release.rstrip("x"))
    assert kernel.image.machine == {"x86_64": "EM_X86_64", "arm64": "EM_AARCH64", "riscv64": "EM_RISCV"}[architecture]
    assert len(symbols) > 90_000
    assert len(kernel.types) > 90_000
    banner = kernel.image.read(symbols.address("linux_banner"), 200)
    assert banner.startswith(f"Linux version {kernel.image.release} (".encode())
    assert kernel.types.size("page") == 64
    assert kernel.types.offset("page", "lru.prev") == 16


@of("x86_64-6.1", "x86_64-6.12")
def test_an_old_x86_kernel_has_its_per_cpu_data_at_zero(real_kernel: Kernel) -> None:
    (segment,) = (one for one in real_kernel.image.segments if one.per_cpu)
    assert segment.va == 0
    assert real_kernel.symbols.address("__per_cpu_start") == 0


@of("arm64-6.12", "arm64-6.12-hvo", "arm64-7.x", "riscv64-6.12", "riscv64-7.x", "x86_64-6.12")
def test_pointers_in_the_image_point_at_what_the_kernel_means(real_kernel: Kernel) -> None:
    kernel = real_kernel
    pgd = kernel.symbols.address("init_mm") + kernel.types.offset("mm_struct", "pgd")
    root = {"EM_X86_64": "init_top_pgt"}.get(kernel.image.machine, "swapper_pg_dir")
    assert kernel.image.word(pgd) == kernel.symbols.address(root)


@pytest.mark.slow
@of("x86_64-6.1", "x86_64-6.12", "riscv64-6.12", "arm64-6.12", "x86_64-7.x")
def test_symbols_are_those_that_vmlinux_to_elf_finds(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("vmlinux_to_elf", reason="pip install 'hvolab[kernel-fallback]'")
    content = (images_directory() / f"{request.node.callspec.params['real_kernel']}.image").read_bytes()
    other = symbols_by_vmlinux_to_elf(unwrap(content, "here").content)
    assert other is not None

    def listed(table: SymbolTable) -> list[tuple[int, bytes, int]]:
        return sorted(zip(table.addresses.tolist(), table.text.split(b"\0")[:-1], table.letters.tolist(), strict=True))

    assert listed(real_kernel.symbols) == listed(other)


@pytest.mark.slow
@of(*ALL)
def test_later_openings_take_well_under_a_second(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    path = images_directory() / f"{request.node.callspec.params['real_kernel']}.image"
    assert real_kernel.image.digest
    assert min(open_kernel(path).timings["total"] for _ in range(3)) < 1
