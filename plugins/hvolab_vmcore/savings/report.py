# SPDX-License-Identifier: GPL-2.0-only
"""Report of savings, from a scanned dump or from a running machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hvolab.arch import Architecture
from hvolab_vmcore.savings.savings import PoolSavings, SavingsReport, plan, saved_of
from hvolab_vmcore.savings.system import read_system
from hvolab_vmcore.scan.pools import pools
from hvolab_vmcore.scan.scan import Scan


def report_of_dump(scan: Scan, architectures: Iterable[Architecture], memory: int | None) -> SavingsReport:
    """Return the savings in a dump; ``memory`` in bytes replaces that of the dump in the plan."""
    snapshot, page_size = scan.snapshot, scan.snapshot.target.mode.page_size
    size = snapshot.struct_pages.layout.size
    unknown = {pool.size: pool.cannot_tell for pool in pools(scan) if pool.cannot_tell}
    found = tuple(
        PoolSavings(
            size=pool.size,
            node=pool.node,
            huge_pages=pool.optimized + pool.not_optimized,
            optimized=pool.optimized,
            saved=pool.bytes_saved,
            possible=(pool.optimized + pool.not_optimized) * saved_of(pool.size, page_size, size),
        )
        for pool in pools(scan)
        if pool.optimized or pool.not_optimized
    )
    notes = [f"cannot tell of up to {count} huge pages of {size:#x} bytes" for size, count in unknown.items()]
    notes += ["a dump does not have the switch of HVO, vm.hugetlb_optimize_vmemmap"]
    if memory is None:  # what the vmemmap describes, holes of memory included
        memory = int((scan.pages.frames >= 0).sum()) * (page_size // size) * page_size
    return SavingsReport(
        source=str(snapshot.core.path),
        kernel=snapshot.kernel,
        page_size=page_size,
        struct_page_size=size,
        memory=memory,
        hvo="cannot tell",
        pools=found,
        plan=plan(architectures, memory, size),
        notes=tuple(notes),
    )


def report_of_system(root: Path, architectures: Iterable[Architecture], memory: int | None) -> SavingsReport:
    """Return the savings on the machine whose /proc and /sys are below ``root``; raises as `read_system` does."""
    system = read_system(root)
    memory = system.memory if memory is None else memory
    return SavingsReport(
        source=str(root),
        kernel=system.kernel,
        page_size=system.page_size,
        struct_page_size=system.struct_page_size,
        memory=memory,
        hvo=system.hvo,
        pools=system.pools,
        plan=plan(architectures, memory, system.struct_page_size),
        notes=system.notes,
    )
