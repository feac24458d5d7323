# SPDX-License-Identifier: GPL-2.0-only
"""Functions of HVO, found in a kernel by their names."""

from __future__ import annotations

from hvolab_kernel.code.hvo_functions import OPTIMIZING, hvo_functions
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import HVO_6_12, MadeUp, elf_image


def test_the_functions_of_hvo_are_found_by_address() -> None:
    kernel = read_kernel(
        elf_image(MadeUp(symbols=("vmemmap_pte_entry.isra.0", "__pfx_vmemmap_remap_pte", *HVO_6_12))), "here"
    )
    assert hvo_functions(kernel) == (
        "vmemmap_pte_entry.isra.0",
        "hugetlb_vmemmap_optimize_folio",
        "hugetlb_vmemmap_optimize_folios",
        "hugetlb_vmemmap_restore_folio",
        "vmemmap_remap_pte",
    )
    assert hvo_functions(kernel, OPTIMIZING) == (
        "hugetlb_vmemmap_optimize_folio",
        "hugetlb_vmemmap_optimize_folios",
        "vmemmap_remap_pte",
    )
