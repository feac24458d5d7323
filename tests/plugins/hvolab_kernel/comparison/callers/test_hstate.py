# SPDX-License-Identifier: GPL-2.0-only
"""Hstates in a kernel's memory, as the kernel's own functions find them."""

from __future__ import annotations

import pytest

from hvolab.hugetlb import hstates
from hvolab_kernel.comparison.callers.hstate import place_hstates
from hvolab_kernel.running import KernelCpu
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED, machine_for

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@FETCHED
def test_the_kernel_finds_an_hstate_by_its_file_in_sysfs(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelCpu(machine, real_kernel)
    hs = hstates(machine)
    placed = place_hstates(cpu.loaded, 1, hs)
    assert len(placed) == len(hs)
    node = cpu.loaded.data.va + 4096
    for one in placed:
        for wanted in (-1, 0):
            found = cpu.call("kobj_to_hstate", one.kobj(wanted), node).required()
            assert found.result == one.va
            assert cpu.loaded.read(node, 4) == wanted % (1 << 32)
    assert len({one.kobj(node) for one in placed for node in (-1, 0)}) == 2 * len(placed)


@FETCHED
def test_an_hstate_is_empty_and_its_free_lists_point_to_themselves(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    loaded = KernelCpu(machine, real_kernel).loaded
    for one, h in zip(place_hstates(loaded, 2, hstates(machine)), hstates(machine), strict=True):
        assert not any(one.counters().values())
        offset = real_kernel.types.offset("hstate", "order")
        assert loaded.read(one.va + offset, 4) == h.order
        for head in one.freelists:
            assert loaded.read(head, 8) == loaded.read(head + 8, 8) == head
