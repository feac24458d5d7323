"""What a scenario is asked to do, and how much memory its huge pages need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hvolab.arch import HugePageSize, Target
from hvolab.errors import UsageError
from hvolab.hvo import EngineMaker
from hvolab.machine import STRUCT_PAGE_V6_12, CpuMaker
from hvolab.units import format_short, format_size

DEFAULT_MEMORY = 4 << 30
_DEFAULT_PAGES = 8
#: What beside huge pages and vmemmap a machine needs at least, so that there is room to restore in.
_MARGIN = 64 << 20
#: Of a machine's memory, the part (one in so many) that the default pools leave alone.
_LEFT_ALONE = 4


@dataclass(frozen=True)
class ScenarioSpec:
    """One scenario.

    target           what the machine is built for
    memory           bytes of RAM
    nodes            NUMA nodes
    hugepages        pages of each size in bytes; empty: what default_hugepages() gives
    cpu              what makes the machine's CPUs; ``None``: modeled ones
    engine           what makes who optimizes; ``None``: hvolab's own engine
    image            the kernel image that it is made of
    fail_allocation  number of the allocation call that is made to fail, 1 being the first of the pools; ``None``: none
    """

    target: Target
    memory: int = DEFAULT_MEMORY
    nodes: int = 1
    hugepages: Mapping[int, int] = field(default_factory=dict)
    fail_allocation: int | None = None
    cpu: CpuMaker | None = None
    engine: EngineMaker | None = None
    image: Path | None = None

    def resolved(self) -> tuple[tuple[HugePageSize, int], ...]:
        """The sizes with the pages asked for, ascending.

        Raises UsageError for a size that the mode does not have, and for pages that cannot fit into the memory.
        """
        chosen = self.hugepages or default_hugepages(self.target, self.memory)
        sizes = {huge.size: huge for huge in self.target.mode.huge_pages}
        for size in chosen:
            if size not in sizes:
                where = f"{self.target.architecture.name} {self.target.mode.name}"
                raise UsageError(
                    f"{where} has no huge pages of {format_size(size)}",
                    hint=f"the sizes are {', '.join(map(format_short, sizes))}",
                )
        if sum(size * count for size, count in chosen.items()) > self.memory:
            raise does_not_fit(self.target, self.memory, self.nodes, chosen)
        return tuple((sizes[size], chosen[size]) for size in sorted(chosen))


def default_hugepages(target: Target, memory: int) -> dict[int, int]:
    """Eight pages of the size that the level above the last maps, and one of the largest that fits beside them.

    Fewer where memory is small; at least a quarter of it is left alone.
    """
    room = memory - memory // _LEFT_ALONE
    middle = target.mode.levels[-2].size
    sizes = [huge.size for huge in target.mode.huge_pages]
    base = middle if middle in sizes else sizes[0]
    chosen = {base: max(1, min(_DEFAULT_PAGES, room // 2 // base))}
    largest = max((size for size in sizes if size + base * chosen[base] <= room), default=base)
    chosen.setdefault(largest, 1)
    return chosen


def memory_needed(target: Target, nodes: int, hugepages: Mapping[int, int]) -> int:
    """Bytes of RAM in which pools of these pages surely fit, as far as alignment, vmemmap and an even spread tell."""
    share = {size: -(-count // nodes) for size, count in hugepages.items() if count}
    largest = max(share, default=target.mode.page_size)
    rest = sum(size * count for size, count in share.items() if size != largest)
    total = 0
    unit = target.mode.level(target.mode.vmemmap_level).size  # as boot maps the vmemmap
    for _ in range(3):  # the vmemmap of what is added describes more memory, ever less of it
        vmemmap = _rounded((total * nodes >> target.mode.page_shift) * STRUCT_PAGE_V6_12.size, unit)
        total = largest * share.get(largest, 0) + _rounded(rest + vmemmap + _MARGIN, largest)
    if nodes > 1:  # a node ends where a leaf of the vmemmap does
        mode = target.mode
        total = _rounded(total, mode.level(mode.vmemmap_level).size // STRUCT_PAGE_V6_12.size << mode.page_shift)
    return total * nodes


def does_not_fit(target: Target, memory: int, nodes: int, hugepages: Mapping[int, int]) -> UsageError:
    """The error that tells how much memory these pages need."""
    asked = ", ".join(f"{count} of {format_size(size)}" for size, count in sorted(hugepages.items()))
    needed = max(memory_needed(target, nodes, hugepages), memory + max(hugepages, default=0))
    where = f"on {nodes} nodes" if nodes > 1 else f"in {target.mode.name}"
    return UsageError(
        f"huge pages ({asked}) do not fit into {format_size(memory)} of memory",
        where=where,
        rule="a huge page is naturally aligned, and the kernel and the vmemmap need memory too",
        hint=f"give {format_size(needed)} (--memory {format_short(needed)}), or ask for fewer or smaller pages",
    )


def _rounded(size: int, unit: int) -> int:
    return -(-size // unit) * unit
