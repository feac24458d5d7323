# SPDX-License-Identifier: GPL-2.0-only
"""Machine built from a core."""

from __future__ import annotations

from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.replay.machine import build_core_machine
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import FIRST_FOLIO, OPTIMIZED_2M, made, va_of


def test_the_machine_has_the_memory_tables_and_key_of_the_core() -> None:
    start = scan(open_snapshot(OPTIMIZED_2M))
    core = build_core_machine(start)
    machine = core.machine
    assert machine.memory is start.snapshot.memory
    assert (machine.tables.root, machine.key, len(machine.cpus)) == (start.snapshot.tables.root, 8, 1)
    head = machine.struct_pages.word(FIRST_FOLIO, machine.struct_pages.layout.private)
    assert machine.cpus[0].load_word(va_of(FIRST_FOLIO) + machine.struct_pages.layout.private) == head
    assert scan(core.snapshot).findings == start.findings


def test_its_new_frames_are_above_the_core_and_not_reserved() -> None:
    core = build_core_machine(scan(open_snapshot(OPTIMIZED_2M)))
    pfns = core.machine.frames.allocate_run(3, 0, 0)
    assert pfns.min() >= core.new_frames.first
    assert not core.records.reserved(pfns).any()
    assert core.records.assumed == set()


def test_it_has_the_pages_that_tails_share_in_the_core() -> None:
    start = scan(open_snapshot(made("riscv64-7.2", "3-one-1G")))
    shared = {huge.order: int(huge.shared[0]) for huge in start.huge_pages}
    # the 1 GiB page is in ZONE_DMA32, the others are in ZONE_NORMAL
    assert build_core_machine(start).machine.vmemmap_tails == {(0, 0, 18): shared[18], (0, 1, 9): shared[9]}
    assert build_core_machine(scan(open_snapshot(OPTIMIZED_2M))).machine.vmemmap_tails == {}
