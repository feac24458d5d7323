# SPDX-License-Identifier: GPL-2.0-only
"""Specification of a scenario, and the memory that its huge pages need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hvolab.arch import Target
from hvolab.arithmetic import div_round_up, round_up
from hvolab.errors import UsageError
from hvolab.hvo import EngineSetup
from hvolab.machine import CpuMaker, VmemmapBacking
from hvolab.scenario.boot import BootSettings
from hvolab.scenario.operations import OPERATIONS, Request, check_huge_page
from hvolab.units import NodeCounts, format_short, format_size

DEFAULT_MEMORY = 4 << 30
_DEFAULT_PAGES = 8
#: Memory in addition to huge pages and vmemmap that a machine needs at least, so that folios can be restored.
_MARGIN = 64 << 20
#: Part of a machine's memory (one in so many) that the default pools do not use.
_UNUSED = 4


@dataclass(frozen=True)
class ScenarioSpec:
    """One scenario.

    target           architecture, mode, profile and release of the machine
    memory           bytes of RAM
    nodes            NUMA nodes
    hugepages        pages of each size in bytes, or NodeCounts of them; empty: those of default_hugepages()
    boot             settings of the kernel's command line
    cpus             CPUs; HVO runs on the first, the others read the struct pages of a folio before HVO changes them
    vmemmap          owner of the frames that back the vmemmap
    fail_allocation  number of the allocation call that fails, 1 being the first of the pools; ``None``: none
    cpu              maker of the machine's CPUs; ``None``: modeled ones
    engine           the HVO engine, and the struct page layout that its machine needs; ``None``: the model
    operations       operations on the pools, after those of boot; empty: optimize and shrink, or shrink after boot
    check_pages      whether the kernel checks struct pages that are freed
    """

    target: Target
    memory: int = DEFAULT_MEMORY
    nodes: int = 1
    cpus: int = 1
    vmemmap: VmemmapBacking = VmemmapBacking.BOOT
    hugepages: Mapping[int, int] = field(default_factory=dict)
    boot: BootSettings = field(default_factory=BootSettings)
    fail_allocation: int | None = None
    cpu: CpuMaker | None = None
    engine: EngineSetup | None = None
    operations: tuple[Request, ...] = ()
    check_pages: bool = True

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requested operations, those of boot first; empty: the default ones."""
        booted = self.boot.operations
        return booted + (self.operations or ((Request(OPERATIONS["shrink"]),) if booted else ()))

    def resolved(self) -> Mapping[int, int]:
        """Return the requested pages of each size in bytes.

        Raises UsageError for a size that the mode does not have, and for pages that cannot fit into the memory.
        """
        chosen = self.hugepages or default_hugepages(self.target, self.memory)
        for size, count in chosen.items():
            check_huge_page(self.target, size)
            if isinstance(count, NodeCounts) and max(count.nodes) >= self.nodes:
                raise UsageError(
                    f"huge pages of {format_size(size)} on node {max(count.nodes)}",
                    where=f"a machine with {self.nodes} nodes" if self.nodes > 1 else "a machine with one node",
                    hint="give the machine more nodes (--nodes N)",
                )
        if sum(size * count for size, count in chosen.items()) > self.memory:
            raise self.does_not_fit(chosen)
        return chosen

    def does_not_fit(self, hugepages: Mapping[int, int]) -> UsageError:
        """Return the error that huge pages do not fit into the memory, with the memory that they need."""
        pages = ", ".join(f"{count} of {format_size(size)}" for size, count in sorted(hugepages.items()))
        needed = max(memory_needed(self.target, self.nodes, hugepages), self.memory + max(hugepages, default=0))
        return UsageError(
            f"huge pages ({pages}) do not fit into {format_size(self.memory)} of memory",
            where=f"on {self.nodes} nodes" if self.nodes > 1 else f"in {self.target.mode.name}",
            rule="a huge page is naturally aligned, and the kernel and the vmemmap need memory too",
            hint=f"give {format_size(needed)} (--memory {format_short(needed)}), or request fewer or smaller pages",
        )


def default_hugepages(target: Target, memory: int) -> dict[int, int]:
    """Return eight pages of the size that the level above the last maps, and one of the largest size that fits.

    Fewer if memory is small; at least a quarter of it stays unused.
    """
    room = memory - memory // _UNUSED
    middle = target.mode.levels[-2].size
    sizes = [huge.size for huge in target.mode.huge_pages]
    base = middle if middle in sizes else sizes[0]
    chosen = {base: max(1, min(_DEFAULT_PAGES, room // 2 // base))}
    largest = max((size for size in sizes if size + base * chosen[base] <= room), default=base)
    chosen.setdefault(largest, 1)
    return chosen


def memory_needed(target: Target, nodes: int, hugepages: Mapping[int, int]) -> int:
    """Return bytes of RAM in which pools of these pages fit, with alignment, vmemmap and an even spread over nodes."""
    share = {
        size: max(count.nodes.values()) if isinstance(count, NodeCounts) else div_round_up(count, nodes)
        for size, count in hugepages.items()
        if count
    }
    largest = max(share, default=target.mode.page_size)
    rest = sum(size * count for size, count in share.items() if size != largest)
    total, mode = 0, target.mode
    unit = mode.level(mode.vmemmap_level).size  # as boot maps the vmemmap
    for _ in range(3):  # the vmemmap of what is added describes more memory, ever less of it
        vmemmap = round_up((total * nodes >> mode.page_shift) * target.struct_page.size, unit)
        total = largest * share.get(largest, 0) + round_up(rest + vmemmap + _MARGIN, largest)
    if nodes > 1:  # a node ends where a leaf of the vmemmap does
        total = round_up(total, unit // target.struct_page.size << mode.page_shift)
    return total * nodes
