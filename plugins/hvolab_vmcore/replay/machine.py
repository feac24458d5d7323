# SPDX-License-Identifier: GPL-2.0-only
"""Machine with the memory and page tables of a core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hvolab.machine import SCRATCH_FRAMES, Machine, ModelCpu, map_guest_text
from hvolab.trace import Trace
from hvolab_vmcore.core.memory import check_mapped, first_new_pfn
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.replay.direct_map import build_direct_map
from hvolab_vmcore.replay.new_frames import CoreRecords, NewFrames
from hvolab_vmcore.scan.huge_pages import Sharing
from hvolab_vmcore.scan.scan import Scan


@dataclass(frozen=True, eq=False)
class CoreMachine:
    """Machine built from a core.

    machine     the machine, with one CPU
    snapshot    the same memory and tables, to be scanned afterwards
    records     per-frame flags, with assumptions about frames whose struct page the core does not hold
    new_frames  allocator of its new frames
    """

    machine: Machine
    snapshot: CoreSnapshot
    records: CoreRecords
    new_frames: NewFrames


def build_core_machine(scan: Scan) -> CoreMachine:
    """Build the machine on the scan's own memory; the scan stays valid, since it has copies of the entries.

    The direct map and the kernel's own data are in new frames. ``key`` is the number of optimized huge pages in the
    core; the counters of vmemmap pages start at 0, since their location is not in a core.
    Raises MachineError where the room for new frames is too small, CoreFileError for memory that is not mapped.
    """
    snapshot = scan.snapshot
    check_mapped(snapshot.memory, snapshot.core.path)
    mode, memory = snapshot.target.mode, snapshot.memory
    tables = [level.pas >> mode.page_shift for level in scan.walk.levels]
    used = np.unique(np.concatenate([scan.pages.frames, *tables]))
    new = NewFrames(memory, first_new_pfn(snapshot.core, mode.page_shift), used)
    mapped, free = build_direct_map(snapshot, new)
    records = CoreRecords(scan.pages, mapped, new)
    trace = Trace()
    data = new.allocate(0, 0, 0)
    guest = None
    if mapped.target.architecture.emulation is not None:
        first = new.allocate_contiguous(SCRATCH_FRAMES, 0, 0, 1)
        memory.zero(first, SCRATCH_FRAMES)
        guest = map_guest_text(mapped.tables, (first, first + SCRATCH_FRAMES), free)
    machine = Machine(
        target=mapped.target,
        memory=memory,
        tables=mapped.tables,
        struct_pages=mapped.struct_pages,
        records=records,
        frames=new,
        trace=trace,
        guest=guest,
    )
    machine._data = (machine.page_to_virt(data), mode.page_size)  # noqa: SLF001 - part of building
    machine.key = sum(int(huge.optimized.sum()) for huge in scan.huge_pages)
    machine.vmemmap_tails |= _shared_tail_pages(scan)
    machine.cpus = [ModelCpu(0, memory, mapped.tables, trace)]
    return CoreMachine(machine, mapped, records, new)


def _shared_tail_pages(scan: Scan) -> dict[tuple[int, int, int], int]:
    """Return the frames that tails share, by node, zone and order, as the core's huge pages have them."""
    layout = scan.snapshot.struct_pages.layout
    found: dict[tuple[int, int, int], int] = {}
    for huge in scan.huge_pages:
        chosen = np.flatnonzero(huge.with_sharing(Sharing.TAIL) & huge.heads.there)
        for flags, frame in zip(huge.heads.flags[chosen].tolist(), huge.shared[chosen].tolist(), strict=True):
            found.setdefault((layout.node(flags), layout.zone(flags), huge.order), frame)
    return found
