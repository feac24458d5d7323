# SPDX-License-Identifier: GPL-2.0-only
"""The walk of a range: tables split on the way, entries handed out, and the errors that end it."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from hvolab.errors import MachineError
from hvolab.hvo import ENOTSUPP, VmemmapPageAllocator
from hvolab.hvo.update import PlainStores
from hvolab.hvo.walk import REMAP_NO_TLB_FLUSH, PteRun, RemapWalk, VmemmapWalker
from hvolab.machine import Machine, MachineSpec, VmemmapBacking, build_machine
from hvolab.machine.frames.failure import FailFrom
from hvolab.release.releases import V6_12
from hvolab.trace import EntriesStored, RangeFlushed
from tests.folios import allocator
from tests.machines import MIB, x86_64

SPEC = MachineSpec(memory=512 * MIB)


def built(spec: MachineSpec = SPEC) -> tuple[Machine, VmemmapWalker, int]:
    """A machine, its walker, and the VA of a struct page in the middle of a PMD."""
    machine = build_machine(x86_64(), spec)
    cpu = machine.cpus[0]
    return (
        machine,
        VmemmapWalker(machine, cpu, V6_12.variant, PlainStores(machine, cpu)),
        machine.struct_pages.va(0x7E00),
    )


def walked(
    walker: VmemmapWalker, va: int, pages: int, flags: int = 0, done: int | None = None
) -> tuple[int, list[PteRun]]:
    """Walk pages of vmemmap from `va` on; return the result and the runs handed out."""
    runs: list[PteRun] = []

    def take(run: PteRun, _: RemapWalk) -> int:
        runs.append(run)
        return run.raws.size if done is None else done

    walk = RemapWalk(take, flags, va, VmemmapPageAllocator())
    return walker.walk(va, va + pages * 4096, walk), runs


def test_the_first_entry_is_read_and_the_others_are_handed_out_table_by_table() -> None:
    machine, walker, va = built()
    with machine.trace.record() as events:
        result, runs = walked(walker, va, 16)
    assert result == 0
    assert [(run.va, run.frames.size) for run in runs] == [(va + 4096, 7), (va + 8 * 4096, 8)]
    assert [frame for run in runs for frame in run.frames.tolist()] == machine.tables.frames(va, 16).tolist()[1:]
    assert walker.frame_of(va) == machine.tables.frame_of(va)
    assert sum(isinstance(event, EntriesStored) and event.live for event in events) == 2  # two PMDs are split
    assert [event for event in events if isinstance(event, RangeFlushed)][-1] == RangeFlushed(va, va + 16 * 4096)


def test_a_walk_without_flush_flushes_only_the_split() -> None:
    machine, walker, va = built()
    with machine.trace.record() as events:
        walked(walker, va, 8, REMAP_NO_TLB_FLUSH)
    [flush] = [event for event in events if isinstance(event, RangeFlushed)]
    assert (flush.start, flush.end - flush.start) == (va & -(2 * MIB), 2 * MIB)


def test_a_callback_that_loses_an_entry_ends_the_walk() -> None:
    _, walker, va = built()
    result, runs = walked(walker, va, 16, done=3)
    assert (result, len(runs)) == (-errno.EAGAIN, 1)


def test_without_memory_for_a_table_nothing_is_split() -> None:
    machine, walker, va = built()
    allocator(machine).failure = FailFrom(1)
    assert walked(walker, va, 8) == (-errno.ENOMEM, [])
    assert machine.tables.find(va).level.name == "pmd"


def test_self_hosted_vmemmap_is_refused() -> None:
    machine, walker, _ = built(replace(SPEC, vmemmap=VmemmapBacking.SELF_HOSTED))
    start, _ = machine.self_hosted[0]
    assert walked(walker, machine.struct_pages.va(start), 8) == (-ENOTSUPP, [])


def test_vmemmap_that_is_not_mapped_is_an_error() -> None:
    machine, walker, _ = built()
    with pytest.raises(MachineError, match="is not mapped by pmd or pte"):
        walked(walker, machine.struct_pages.va(1 << 24), 8)
