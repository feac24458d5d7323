# SPDX-License-Identifier: GPL-2.0-only
"""Instructions by name, and functions that are one step."""

from __future__ import annotations

import pytest

from hvolab_kernel.code.instructions import function_end
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import DEBIANS

pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab_kernel.interleaving.points import Points


@DEBIANS
def test_names_are_those_of_instructions(real_kernel: Kernel) -> None:
    points = Points(real_kernel)
    va = real_kernel.symbols.address("vmemmap_remap_pte")
    assert points.name(va + 4) == "vmemmap_remap_pte+0x4"
    assert points.va("vmemmap_remap_pte+0x4") == va + 4
    assert points.va("vmemmap_remap_pte") == va
    assert points.stop_for(va + 4) == va + 4


@DEBIANS
def test_a_cpu_stops_at_the_begin_of_a_lock_and_of_a_copy(real_kernel: Kernel) -> None:
    points = Points(real_kernel)
    lock = real_kernel.symbols.address("_raw_spin_lock")
    assert lock in points.locks
    assert points.stop_for(function_end(real_kernel, lock) - 1) == lock
    assert points.takes_lock(lock + 1)
    copy = real_kernel.symbols.address("__memcpy")
    assert points.stop_for(copy + 8) == copy
    assert not points.takes_lock(copy)
