# SPDX-License-Identifier: GPL-2.0-only
"""Watch of a kernel's code: locks that it leaves, calls that may sleep, and the places of its calls and stores."""

from __future__ import annotations

import pytest

from hvolab.machine import MachineSpec, VmemmapBacking
from hvolab_kernel.comparison.calls import calls_of
from hvolab_kernel.comparison.code_watch import CodeWatch
from hvolab_kernel.comparison.machine_pair import kernel_machine
from hvolab_kernel.comparison.selection import target_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from tests.plugins.hvolab_kernel.objects.developer_objects import kernel_of

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@pytest.mark.slow
def test_held_locks_are_reported_and_calls_that_may_sleep_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_of("x86_64-6.12")
    spec = MachineSpec(memory=512 << 20, vmemmap=VmemmapBacking.BOOT, layout=struct_page_layout(kernel))
    hvo, under = kernel_machine(target_of(kernel), kernel, spec)
    machine, cpu, code = under.machine, hvo.kernel_cpu, CodeWatch(hvo)
    lock = kernel.symbols.address("init_mm") + kernel.types.offset("mm_struct", "page_table_lock")
    found, reported = [], list[str]()
    monkeypatch.setattr(cpu, "report", reported.append)
    for held in (0, 1):
        code.begin()
        cpu.loaded.write(lock, 4, held)
        with machine.trace.listen(lambda event: code(event, len(calls_of([event]))), single_steps=True):
            machine.synchronize_rcu()
            machine.alloc_pages(0, 0)  # no __GFP_DIRECT_RECLAIM: it does not sleep
        found.append((code.unbalanced(), list(reported)))
        cpu.loaded.write(lock, 4, 0)
    assert found[0] == ((), [])
    (left,), (sleeps,) = found[1]
    assert left.startswith("page_table_lock of init_mm is 0x1, and was 0x0 before")
    assert sleeps.startswith("synchronize_rcu() may sleep, with page_table_lock of init_mm held")
