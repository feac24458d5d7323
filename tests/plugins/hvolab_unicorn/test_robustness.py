# SPDX-License-Identifier: GPL-2.0-only
"""What emulated CPUs stand: many instances, threads, forks, much memory, no unicorn."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hvolab.arch import PageFault
from hvolab.machine import Machine, MachineSpec, build_machine, use_cpus
from hvolab_unicorn import emulate, make_cpu
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, MIB, Lab, lab, pages, target_of

MODES = {"x86_64": "x86_64-4-level", "arm64": "arm64-4K-48bit", "riscv": "riscv-Sv48"}
SPEC = MachineSpec(memory=64 * MIB)


def machine_of(architecture: str, spec: MachineSpec = SPEC) -> Machine:
    return build_machine(target_of(MODES[architecture]), spec)


@pytest.mark.slow
def test_five_hundred_cpus_come_and_go_without_growth() -> None:
    machine = machine_of("riscv")
    emulate(machine)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def churn(count: int) -> None:
        for _ in range(count):
            EmulatedCpu(machine, 0).load_word(machine.virt(machine.memory.base))

    churn(200)
    gc.collect()
    before = resident()
    churn(300)
    assert resident() - before < 16 * MIB


@pytest.mark.long
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ten_thousand_cpus_of_each_architecture(architecture: str) -> None:
    machine = machine_of(architecture)
    for _ in range(10_000):
        EmulatedCpu(machine, 0).load_word(machine.virt(machine.memory.base))
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < 1 << 30


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cpus_work_in_threads_of_their_own_and_in_others(architecture: str) -> None:
    results: list[Any] = []

    def work(world: Lab | None = None) -> None:
        machine, cpu = lab(architecture) if world is None else world
        a, b = pages(machine, 2)
        for _ in range(20):
            cpu.copy_page(a, b)
            with pytest.raises(PageFault):
                cpu.store_word(cpu.vcpu.area.text_va, 1)
        results.append(cpu.load(a, 4096) == cpu.load(b, 4096))

    threads = [threading.Thread(target=work) for _ in range(3)]
    threads.append(threading.Thread(target=work, args=(lab(architecture),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4


def test_a_child_of_a_fork_goes_on_with_its_own_copy() -> None:
    machine, cpu = lab("x86_64")
    (page,) = pages(machine, 1)
    cpu.store_word(page, 1)
    child = os.fork()
    if child == 0:
        cpu.store_word(page, 2)
        os._exit(0 if cpu.load_word(page) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cpu.load_word(page) == 1


@pytest.mark.slow
def test_a_machine_of_a_tebibyte_can_be_emulated() -> None:
    spec = MachineSpec(memory=1 << 40, deferred_struct_pages=True)
    machine = machine_of("x86_64", spec)
    cpu = emulate(machine)[0]
    va = machine.struct_pages.va((1 << 28) - 5)
    cpu.store_word(va, 77)
    assert machine.memory.read_word((machine.tables.frame_of(va) or 0) << 12 | va & 0xFFF) == 77


def test_cpus_are_replaced_one_by_one() -> None:
    machine = machine_of("riscv", MachineSpec(memory=64 * MIB, cpus=2))
    use_cpus(machine, make_cpu)
    assert [type(cpu).__name__ for cpu in machine.cpus] == ["EmulatedCpu"] * 2


_WITHOUT = """
import sys
sys.modules["unicorn"] = None
sys.path[:0] = sys.argv[1:]
import hvolab_unicorn
from hvolab.errors import UsageError
from hvolab.machine import MachineSpec, build_machine
from hvolab_x86_64 import X86_64
machine = build_machine(X86_64.select(), MachineSpec(memory=64 << 20))
assert list(hvolab_unicorn.hvolab_cpus()) == ["emulated"]
try:
    hvolab_unicorn.emulate(machine)
except UsageError as error:
    print(error)
"""


@pytest.mark.slow
def test_without_unicorn_the_plugin_is_there_and_says_what_to_install() -> None:
    import hvolab  # noqa: PLC0415
    import hvolab_unicorn  # noqa: PLC0415
    import hvolab_x86_64  # noqa: PLC0415

    roots = {str(Path(module.__file__ or "").parents[1]) for module in (hvolab, hvolab_unicorn, hvolab_x86_64)}
    done = subprocess.run([sys.executable, "-c", _WITHOUT, *roots], capture_output=True, text=True, check=True)
    assert "no CPU can be emulated" in done.stdout
    assert "pip install 'hvolab[emulation]'" in done.stdout
