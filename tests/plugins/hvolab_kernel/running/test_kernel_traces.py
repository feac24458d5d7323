# SPDX-License-Identifier: GPL-2.0-only
"""A kernel on hvolab's machines against the trace of the same source, recorded elsewhere."""

from __future__ import annotations

import pytest

from hvolab.machine import Machine, ModelCpu
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel
from tests.core.hvo.test_kernel_traces import departures_of, report

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

#: Bytes of RAM that the vmemmap of a trace describes; the machine has less.
DESCRIBED = 2 << 30
#: One of this many runs is repeated in every test run.
SAMPLE = 9
TRACED = pytest.mark.parametrize(
    ("real_kernel", "trace"), [("arm64-6.12.107-hvo", "arm64-6.12-4K-48bit")], indirect=["real_kernel"]
)


def cpu(machine: Machine, index: int) -> ModelCpu:
    return ModelCpu(index, machine.memory, machine.tables, machine.trace)


def departures(kernel: Kernel, trace: str, every: int) -> list[str]:
    """Return the differences between the kernel and its trace."""
    assert release_of(kernel).name == "6.12"

    def engine(machine: Machine) -> KernelHvo:
        first = machine.memory.first_pfn
        machine.vmemmap = ((first, first + (DESCRIBED >> machine.target.mode.page_shift)),)
        hvo = KernelHvo(machine, kernel)
        hvo.kernel_cpu.watch_page_tables = False  # calls are compared, and entries at the end
        return hvo

    return departures_of(trace, cpu, every, engine=engine)


@pytest.mark.slow
@TRACED
def test_a_sample_of_runs_matches_the_trace(real_kernel: Kernel, trace: str) -> None:
    found = departures(real_kernel, trace, SAMPLE)
    assert not found, report(found)


@pytest.mark.long
@TRACED
def test_every_run_matches_the_trace(real_kernel: Kernel, trace: str) -> None:
    found = departures(real_kernel, trace, 1)
    assert not found, report(found)
