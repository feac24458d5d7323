# SPDX-License-Identifier: GPL-2.0-only
"""The variant of HVO of kernels built by hand, and kernels whose variant the engine or pools do not model."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.hvo import V6_1, V6_12, V6_12_117
from hvolab_kernel.identify.features import variant_for_pools, variant_of
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import x86_kernel_like_6_12
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder, hvo_types
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, elf_image

HVO_6_1 = ("hugetlb_vmemmap_optimize", "hugetlb_vmemmap_restore", "hugetlb_optimize_vmemmap_key", "copy_page")


def read(made: MadeUp) -> Kernel:
    return read_kernel(elf_image(made), "here")


def test_6_12_is_the_baseline_and_a_walk_that_names_both_pages_is_its_stable_variant() -> None:
    made = x86_kernel_like_6_12()
    assert variant_of(read(made)) is variant_for_pools(read(made)) is V6_12
    built = BtfBuilder()
    long = built.integer("long unsigned int", 8)
    built.struct("vmemmap_remap_walk", 16, [("flags", long, 0), ("vmemmap_tail", long, 64)])
    assert variant_of(read(MadeUp(code=made.code, btf=built.content()))) is V6_12_117


def test_another_release_is_modeled_by_the_engine_but_not_by_pools() -> None:
    kernel = read(MadeUp(symbols=HVO_6_1, btf=hvo_types(flags=False)))
    assert variant_of(kernel) is V6_1
    with pytest.raises(UsageError, match="pools and invariants do not model this kernel's HVO") as caught:
        variant_for_pools(kernel)
    assert caught.value.rule == "; ".join(V6_1.departures)


def test_a_kernel_without_hvo_has_no_variant() -> None:
    with pytest.raises(UsageError, match="the engine does not model this kernel's HVO: it has no HVO"):
        variant_of(read(MadeUp(symbols=("copy_page",))))
