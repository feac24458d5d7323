# SPDX-License-Identifier: GPL-2.0-only
"""A CPU that stops before instructions."""

from __future__ import annotations

from functools import partial

import pytest

from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.interleaving.kernel_worlds import EngineOf, program
from tests.plugins.hvolab_kernel.kernel_machines import DEBIANS, X86

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.search.dpor import Dpor
from hvolab_kernel.interleaving.cpu import InterleavedCpu
from hvolab_kernel.running import KernelHvo


def cpus(kernel: Kernel) -> list[InterleavedCpu]:
    engines = program(EngineOf(kernel), "restore A, restore B").world.engines
    found = [engine.kernel_cpu for engine in engines if isinstance(engine, KernelHvo)]
    return [cpu for cpu in found if isinstance(cpu, InterleavedCpu)]


@DEBIANS
def test_each_cpu_has_a_stack_and_a_task_of_its_own_and_one_kernel(real_kernel: Kernel) -> None:
    first, second = cpus(real_kernel)
    assert first.loaded is second.loaded
    assert first.processor.stack.end <= second.processor.stack.va
    assert first.processor.task != second.processor.task


@DEBIANS
def test_it_stops_before_an_instruction_once_for_each_execution(real_kernel: Kernel) -> None:
    made = program(EngineOf(real_kernel), "restore A")
    world = made.world
    engine = world.engines[0]
    assert isinstance(engine, KernelHvo)
    stops: list[int] = []
    cpu = engine.kernel_cpu
    assert isinstance(cpu, InterleavedCpu)
    va = real_kernel.symbols.address("hugetlb_vmemmap_restore_folio")
    cpu.stop_before([va], lambda va: partial(stops.append, va))
    cpu.stop_before([va], lambda va: partial(stops.append, va))  # it is hooked already
    engine.restore_folio(world.h, world.folios[0])
    assert stops == [va]


@X86
@pytest.mark.slow
def test_an_endless_loop_is_a_finding(real_kernel: Kernel) -> None:
    made = program(EngineOf(real_kernel, ("native_set_pte",), b"\xeb\xfe"), "optimize A")  # a jump to itself
    engine = made.world.engines[0]
    assert isinstance(engine, KernelHvo)
    assert isinstance(engine.kernel_cpu, InterleavedCpu)
    engine.kernel_cpu.ticks = 1
    result = explore(made, Dpor(), Limits(schedules=1))
    assert any("did not end at native_set_pte" in text and "by the watchdog" in text for text in result.findings)
