# SPDX-License-Identifier: GPL-2.0-only
"""A kernel: VAs in words, and results that are kept as long as the kernel is in use."""

from __future__ import annotations

import gc

import pytest

from hvolab_vmlinux.kernel import Kernel, cached_per_kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, addresses, elf_image


def test_a_va_of_the_image_has_symbol_and_offset() -> None:
    made = MadeUp()
    kernel, va = read_kernel(elf_image(made), "here"), addresses(made)["copy_page"]
    assert (kernel.describe(va), kernel.describe(va + 8)) == ("copy_page", "copy_page+0x8")
    assert kernel.describe(va - (1 << 40)) == f"{va - (1 << 40):#x}"


@pytest.mark.slow
def test_a_result_is_computed_once_for_each_kernel_and_goes_with_it() -> None:
    seen: list[str] = []

    @cached_per_kernel
    def release(kernel: Kernel) -> list[str]:
        seen.append(kernel.image.release)
        return seen

    one, other = read_kernel(elf_image(MadeUp()), "here"), read_kernel(elf_image(MadeUp()), "here")
    assert release(one) is release(one) is release(other)
    assert len(seen) == 2
    del other
    gc.collect()
    assert release(one) is seen
    release(read_kernel(elf_image(MadeUp()), "here"))
    assert len(seen) == 3
