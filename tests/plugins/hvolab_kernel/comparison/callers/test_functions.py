# SPDX-License-Identifier: GPL-2.0-only
"""Functions of pools that an image has, by whatever name; scenarios of those that it has not are left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hvolab_kernel.comparison import target_of
from hvolab_kernel.comparison.callers import PoolOperation, pool_scenarios_of
from hvolab_kernel.comparison.callers.functions import NAMES, PoolFunctions, functions_of
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import x86_kernel_like_6_12
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED, X86
from tests.plugins.hvolab_vmlinux.made_up_kernels import elf_image


@FETCHED
def test_an_image_has_a_function_for_each_operation_and_callers_of_hvo(real_kernel: Kernel) -> None:
    functions = functions_of(real_kernel)
    lacking = {one for one, names in NAMES.items() if all(real_kernel.symbols.find(name) is None for name in names)}
    assert lacking <= {PoolOperation.DEQUEUE_RESERVED, PoolOperation.POISON, PoolOperation.POISON_UNRECORDED}
    assert set(functions.names) == set(NAMES) - lacking
    assert len(functions.notes) == len(lacking)
    assert all(real_kernel.symbols.find(name) is not None for name in functions.names.values())
    assert len(functions.callers) >= 4
    scenarios = pool_scenarios_of(target_of(real_kernel))
    left = [one.name for one in scenarios if one not in functions.runnable(scenarios)]
    assert all("reserved, used" in name or "poison" in name for name in left)
    assert bool(left) is bool(lacking)


@X86
def test_scenarios_of_a_missing_function_are_left_out_with_the_reason(real_kernel: Kernel) -> None:
    functions = functions_of(real_kernel)
    missing = {PoolOperation.DISSOLVE: "the image has no function dissolve_free_hugetlb_folio"}
    without = replace(functions, missing=missing)
    scenarios = pool_scenarios_of(target_of(real_kernel))
    left = {one.name for one in scenarios} - {one.name for one in without.runnable(scenarios)}
    assert left
    assert all("dissolve" in name for name in left)
    assert without.notes == ("scenarios with dissolve: the image has no function dissolve_free_hugetlb_folio",)


def test_an_image_without_the_files_of_hugetlb_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "vmlinux"
    image.write_bytes(elf_image(x86_kernel_like_6_12()))
    with pytest.raises(KernelImageError, match=r"the image has no function nr_hugepages_store; .*overcommit"):
        functions_of(open_kernel(image, use_cache=False))


def test_functions_without_missing_ones_have_no_notes() -> None:
    assert PoolFunctions({}, {}, ()).notes == ()
