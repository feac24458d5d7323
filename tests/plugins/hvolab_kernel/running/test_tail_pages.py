# SPDX-License-Identifier: GPL-2.0-only
"""Shared tail pages of a kernel's zones, as the model of its release has them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo, VmemmapOptimizer
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab_kernel.comparison import target_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

SPEC = MachineSpec(memory=6 << 30, nodes=2)


def machine_of(kernel: Kernel) -> Machine:
    return build_machine(target_of(kernel), replace(SPEC, layout=struct_page_layout(kernel)))


@pytest.mark.slow
@FETCHED
def test_each_node_and_order_has_the_page_that_the_model_has(real_kernel: Kernel) -> None:
    machines = (machine_of(real_kernel), machine_of(real_kernel))
    engines: tuple[VmemmapOptimizer, ...] = (Hvo(machines[0]), KernelHvo(machines[1], real_kernel))
    for machine, hvo in zip(machines, engines, strict=True):
        assert machine.vmemmap_tails == {}
        for h in hstates(machine):
            Pool(machine, h, hvo).set_max_huge_pages(2)
    model, own = (machine.vmemmap_tails for machine in machines)
    assert own == model
    shared = machines[0].target.release.variant.shares_tail_page
    places = [(node, order) for order in (9, 18) for node in (0, 1)] if shared else []
    assert sorted((node, order) for node, _, order in own) == sorted(places)


@FETCHED
def test_a_kernel_shares_the_pages_that_its_machine_has(real_kernel: Kernel) -> None:
    machine = machine_of(real_kernel)
    h, other = (hstates(machine)[0] for _ in range(2))
    Pool(machine, h, Hvo(machine)).set_max_huge_pages(2)
    known = machine.vmemmap_tails.copy()
    Pool(machine, other, KernelHvo(machine, real_kernel)).set_max_huge_pages(2)
    assert machine.vmemmap_tails == known
