"""A machine whose memory is a core's: what HVO would have found, had it gone on from there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hvolab.machine import SCRATCH_FRAMES, Machine, ModelCpu, map_guest_text
from hvolab.trace import Trace
from hvolab_vmcore.core.image import first_new_pfn
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.replay.direct_map import map_directly
from hvolab_vmcore.replay.new_frames import CoreRecords, NewFrames
from hvolab_vmcore.scan.scan import Scan


@dataclass(frozen=True, eq=False)
class CoreMachine:
    """A machine made from a core.

    machine   the machine, with one CPU
    snapshot  the same memory and tables, to scan again
    records   what was taken for granted about frames that the core does not hold
    new       where its new frames come from
    """

    machine: Machine
    snapshot: CoreSnapshot
    records: CoreRecords
    new: NewFrames


def machine_from(scan: Scan) -> CoreMachine:
    """Make the machine; it works on the scan's own memory, of which the scan keeps copies of entries only.

    The direct map, and a frame for the kernel's own data, lie in new frames. ``key`` is what the core's optimized huge
    pages make it; the counters of vmemmap pages start at 0, since a core does not hold them.
    Raises MachineError where there is no room for them.
    """
    snapshot = scan.snapshot
    mode, memory = snapshot.target.mode, snapshot.memory
    tables = [level.pas >> mode.page_shift for level in scan.walk.levels]
    taken = np.unique(np.concatenate([scan.pages.frames, *tables]))
    new = NewFrames(memory, first_new_pfn(snapshot.core, mode.page_shift), taken)
    mapped, free = map_directly(snapshot, new)
    records = CoreRecords(scan.pages, memory, mapped.struct_pages.layout, new)
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
    machine.cpus = [ModelCpu(0, memory, mapped.tables, trace)]
    return CoreMachine(machine, mapped, records, new)
