# SPDX-License-Identifier: GPL-2.0-only
"""Events for a kernel's stores to page tables."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.hvo import Hvo
from hvolab.trace import EntriesStored, Event
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED, machine_for, unoptimized

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@FETCHED
def test_the_kernels_entry_stores_are_emitted_as_the_engines_are(real_kernel: Kernel) -> None:
    written = []
    for make in (lambda m: Hvo(m, release=release_of(real_kernel)), lambda m: KernelHvo(m, real_kernel)):
        machine = machine_for(real_kernel)
        h, folio = unoptimized(machine)
        hvo = make(machine)
        events: list[Event] = []
        with machine.trace.listen(events.append, single_steps=True):
            hvo.optimize_folio(h, folio)
        stores = [one for one in events if isinstance(one, EntriesStored)]
        table = [one for one in stores if not one.live]
        assert len(table) == 1  # the table that replaces the PMD leaf, filled before it is live
        assert np.count_nonzero(table[0].after) == machine.target.mode.last.entries
        size = {level.name: level.size for level in machine.target.mode.levels}
        written.append(
            [
                (one.level, one.va + index * size[one.level], *entries)
                for one in stores  # the engine stores runs, the kernel single entries
                for index, entries in enumerate(zip(one.before.tolist(), one.after.tolist(), strict=True))
            ]
        )
    assert written[0] == written[1]


@FETCHED
def test_without_listeners_or_when_switched_off_nothing_is_watched(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    h, folio = unoptimized(machine)
    hvo = KernelHvo(machine, real_kernel)
    hvo.optimize_folio(h, folio)
    assert not hvo.kernel_cpu._watchpoint.enabled
    hvo.kernel_cpu.watch_page_tables = False
    events: list[Event] = []
    with machine.trace.listen(events.append):
        assert hvo.restore_folio(h, folio) == 0
    assert events
    assert not any(isinstance(one, EntriesStored) for one in events)
