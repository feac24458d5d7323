# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels, where they were fetched: the stores of entries and the calls in their HVO."""

from __future__ import annotations

import re

import pytest

from hvolab_kernel.code.listing import list_function
from hvolab_vmlinux.kernel import Kernel
from tests.kernel_images import IMAGES

WITH_HVO = [image.name for image in IMAGES if not image.name.startswith("arm64")]


def of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("real_kernel", names, indirect=True)


@of("x86_64-6.1", "x86_64-6.12", "x86_64-7.x")
def test_x86_stores_entries_through_its_paravirtual_operations(real_kernel: Kernel) -> None:
    for name in ("vmemmap_remap_pte", "vmemmap_restore_pte"):
        (line,) = list_function(real_kernel, name).stores
        assert line.stores_entry == "a call through pv_ops.mmu.set_pte"
        assert line.goes_to == "native_set_pte"
    (line,) = list_function(real_kernel, "native_set_pte").stores
    assert "through the parameter pte_t *ptep" in line.stores_entry


@of("riscv64-6.12", "riscv64-7.x")
def test_riscv_stores_entries_where_it_was_told_to(real_kernel: Kernel) -> None:
    for name in ("vmemmap_remap_pte", "vmemmap_restore_pte"):
        assert {line.stores_entry for line in list_function(real_kernel, name).stores} == {
            "stores eight bytes through the parameter pte_t *pte"
        }
    assert len(list_function(real_kernel, "vmemmap_pmd_entry").stores) >= 2


@of("arm64-6.12")
def test_arm64_publishes_an_entry_that_it_stores(real_kernel: Kernel) -> None:
    stores = list_function(real_kernel, "vmemmap_pte_populate").stores
    assert any("followed by dsb ishst; isb" in line.stores_entry for line in stores)


@of("arm64-6.12-hvo", "arm64-6.12-hvo-plain", "arm64-6.12-hvo-16K", "arm64-6.12-hvo-64K")
def test_arm64_stores_entries_where_it_was_told_to(real_kernel: Kernel) -> None:
    for name in ("vmemmap_remap_pte", "vmemmap_restore_pte"):
        stores = list_function(real_kernel, name).stores
        assert any("through the parameter pte_t *pte" in line.stores_entry for line in stores)


@of(*WITH_HVO)
def test_calls_in_hvo_have_names(real_kernel: Kernel) -> None:
    name = next(
        one for one in ("hugetlb_vmemmap_restore_folio", "hugetlb_vmemmap_restore") if real_kernel.symbols.find(one)
    )
    words = [found.words for line in list_function(real_kernel, name).lines for found in line.references]
    assert any(
        re.fullmatch(r"__hugetlb_vmemmap_restore_folio|vmemmap_remap_range|static_key_slow_dec", one) for one in words
    )
