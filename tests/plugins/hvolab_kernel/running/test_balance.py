# SPDX-License-Identifier: GPL-2.0-only
"""Balance of locks and counters, in the memory of real kernels."""

from __future__ import annotations

import pytest

from hvolab_kernel.running.balance import Balance
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import FOLIOS, machine_for

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@FOLIOS
def test_a_lock_that_is_kept_and_a_counter_that_is_raised_are_found(real_kernel: Kernel) -> None:
    loaded = LoadedKernel(machine_for(real_kernel), real_kernel)
    balance = Balance(loaded)
    before = balance.read()
    assert {"mmap_lock of init_mm", "preempt_count", "page_table_lock of init_mm"} <= {one.name for one in before}
    assert balance.changed(before) == {}
    for one in before:
        loaded.write(one.va, one.size, loaded.read(one.va, one.size) + 1)
    changed = balance.changed(before)
    assert set(changed) == {one.name for one in before}
    assert all(new == old + 1 for old, new in changed.values())


@FOLIOS
def test_a_ticket_that_was_served_is_no_lock_that_is_held(real_kernel: Kernel) -> None:
    loaded = LoadedKernel(machine_for(real_kernel), real_kernel)
    balance = Balance(loaded)
    before = balance.read()
    lock = next(one for one in before if one.lock)
    loaded.write(lock.va, lock.size, 0x00050005)
    assert balance.changed(before) == {}
