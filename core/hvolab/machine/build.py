# SPDX-License-Identifier: GPL-2.0-only
"""Builder of machines in the state after boot: direct map, vmemmap, struct pages, free memory."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hvolab.arch import Level, LinearOrigin, PgprotRole, Target
from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT, div_round_up
from hvolab.errors import MachineError
from hvolab.machine.cpus.guest import SCRATCH_FRAMES, map_guest_text
from hvolab.machine.cpus.model_cpu import ModelCpu
from hvolab.machine.frames.allocator import FrameAllocator
from hvolab.machine.frames.zones import Extent, ZoneKind, ZoneSpec
from hvolab.machine.machine import Machine
from hvolab.machine.memory.physical import PhysicalMemory
from hvolab.machine.memory.tables import PageTables
from hvolab.machine.struct_pages.pages import StructPages
from hvolab.machine.struct_pages.records import StructPageRecords
from hvolab.release import StructPageLayout
from hvolab.release.gfp import GFP_KERNEL
from hvolab.trace import Trace

#: Frames reserved at the bottom of RAM in addition to the guest area: the first, as firmware reserves it; and for data.
_FIRMWARE_FRAMES = 1
_DATA_FRAMES = 1
_MAX_PAGE_ORDER = 10


class VmemmapBacking(enum.Enum):
    """Owner of the frames that back the vmemmap."""

    BOOT = "boot"  #: reserved at boot
    BUDDY = "buddy"  #: allocated from the page allocator, as for hotplugged memory
    SELF_HOSTED = "self-hosted"  #: in the memory that it describes (memmap_on_memory), except for the first block


@dataclass(frozen=True)
class MachineSpec:
    """Description of a machine to build.

    memory                bytes of RAM
    nodes                 NUMA nodes, of equal size
    movable_nodes         nodes that have only ZONE_MOVABLE; not node 0
    cpus                  modeled CPUs
    vmemmap               owner of the frames that back the vmemmap
    deferred_struct_pages leave the struct pages of free memory zero until the frames are used, as
                          CONFIG_DEFERRED_STRUCT_PAGE_INIT does: a 1 TiB machine has 16 GiB of them
    tlb_capacity          translations that a CPU caches per size of leaf; ``None``: all
    release_freed         return the bytes of freed frames to the host
    optimize_enabled      the boot parameter hugetlb_free_vmemmap
    check_pages           whether struct pages are checked when they are freed, as init_on_alloc=1 makes the kernel do
    layout                struct page; ``None``: as the target's kernel has it
    """

    memory: int = 4 << 30
    nodes: int = 1
    movable_nodes: frozenset[int] = frozenset()
    cpus: int = 1
    vmemmap: VmemmapBacking = VmemmapBacking.BOOT
    deferred_struct_pages: bool = False
    tlb_capacity: int | None = None
    release_freed: bool = False
    optimize_enabled: bool = True
    check_pages: bool = True
    layout: StructPageLayout | None = None


def build_machine(target: Target, spec: MachineSpec | None = None) -> Machine:
    """Build a machine for ``target``; raises MachineError if memory is too small, or nodes too many."""
    return _Builder(target, MachineSpec() if spec is None else spec).build()


class _Builder:
    """The steps of building one machine, in order."""

    def __init__(self, target: Target, spec: MachineSpec) -> None:
        self.target = target
        self.spec = spec
        self.mode = target.mode
        self.shift = self.mode.page_shift
        self.layout = target.struct_page if spec.layout is None else spec.layout
        _check(target, spec, self.layout)
        base = target.architecture.ram_base
        first = base if self.mode.origin is LinearOrigin.ZERO else 0
        above = [va for va in (self.mode.direct_map_base, 1 << 64) if va > self.mode.vmemmap_base]
        if (first + spec.memory) * self.layout.size >> self.shift > min(above) - self.mode.vmemmap_base:
            raise MachineError(
                f"the vmemmap of {spec.memory:#x} bytes of RAM does not fit above VA {self.mode.vmemmap_base:#x}",
                where=self.mode.name,
                hint="build a smaller machine",
            )
        self.memory = PhysicalMemory(
            base,
            spec.memory,
            page_shift=self.shift,
            byte_order=target.architecture.byte_order,
            entry_byte_order=target.entry_byte_order,
        )
        self.ranges = self._node_ranges()
        self.zones = [zone for node, extent in enumerate(self.ranges) for zone in self._zones(node, extent)]
        largest = max(_MAX_PAGE_ORDER, self.mode.levels[-2].shift - self.shift)
        self.frames = FrameAllocator(self.zones, max_order=largest)

    def build(self) -> Machine:
        """Carry out the steps."""
        spec, trace = self.spec, Trace()
        self.frames.reserve(self.memory.first_pfn, _FIRMWARE_FRAMES)
        first = self.frames.reserve_any(SCRATCH_FRAMES, 1, 0)
        scratch = (first, first + SCRATCH_FRAMES)
        data = self.frames.reserve_any(_DATA_FRAMES, 1, 0)
        tables = PageTables(self.memory, self.target, self._new_table(self.mode.levels[0]))
        self.tables = tables
        mmu = tuple(self._mmu_memory())
        self._map_direct()
        pages = StructPages(tables, self.layout)
        backing = self._map_vmemmap(pages)
        self._initialize_struct_pages(pages, backing)
        guest = None
        if self.target.architecture.emulation is not None and self.mode.text_base is not None:
            guest = replace(map_guest_text(tables, scratch, self.mode.text_base), mmu=mmu)
        machine = Machine(
            target=self.target,
            memory=self.memory,
            tables=tables,
            struct_pages=pages,
            records=StructPageRecords(pages, self.memory.halves),
            frames=self.frames,
            trace=trace,
            nodes=spec.nodes,
            vmemmap=tuple((extent.start, extent.stop) for extent in self.ranges),
            optimize_enabled=spec.optimize_enabled,
            check_pages=spec.check_pages,
            release_freed=spec.release_freed,
            self_hosted=tuple(
                (extent.start, extent.stop) for owner, extent in backing if owner is VmemmapBacking.SELF_HOSTED
            ),
            scratch_pfns=scratch,
            guest=guest,
        )
        machine._data = (machine.page_to_virt(data), _DATA_FRAMES << self.shift)  # noqa: SLF001 - part of building
        boot = sum(extent.frames for owner, extent in backing if owner is VmemmapBacking.BOOT)
        machine.counters.nr_memmap_boot_pages = boot
        machine.counters.nr_memmap_pages = sum(extent.frames for _, extent in backing) - boot
        machine.cpus = [
            ModelCpu(index, self.memory, tables, trace, tlb_capacity=spec.tlb_capacity) for index in range(spec.cpus)
        ]
        return machine

    # nodes and zones

    def _node_ranges(self) -> list[Extent]:
        """Return the PFN range of each node: equal parts that end where a leaf of the vmemmap ends."""
        # frames that one leaf of the vmemmap describes, or several where struct pages straddle leaves
        leaf = self.mode.level(self.mode.vmemmap_level).size
        unit = leaf // math.gcd(leaf, self.layout.size)
        total, nodes = self.memory.frames, self.spec.nodes
        first = self.memory.first_pfn
        part = total // nodes // unit * unit if nodes > 1 else total
        if not part:
            raise MachineError(
                f"{self.spec.memory:#x} bytes are too little for {nodes} nodes",
                rule=f"a node has at least {unit << self.shift:#x} bytes: whole leaves of the vmemmap describe so much",
                hint="give more memory or fewer nodes",
            )
        cuts = [first + part * node for node in range(nodes)] + [first + total]
        return [Extent(start, stop) for start, stop in pairwise(cuts)]

    def _zones(self, node: int, extent: Extent) -> list[ZoneSpec]:
        if node in self.spec.movable_nodes:
            return [ZoneSpec(ZoneKind.MOVABLE, node, (extent,))]
        zones, start = [], extent.start
        for limit in self.target.architecture.zone_limits:
            stop = min(extent.stop, limit.limit >> self.shift)
            if stop > start:
                zones.append(ZoneSpec(ZoneKind[limit.name], node, (Extent(start, stop),)))
                start = stop
        if start < extent.stop:
            zones.append(ZoneSpec(ZoneKind.NORMAL, node, (Extent(start, extent.stop),)))
        return zones

    # tables

    def _new_table(self, level: Level) -> int:
        """Return the PA of a new table of empty entries, in frames of its own: an entry has the PFN of a table."""
        count = max(1, level.table_bytes >> self.shift)
        pa = self.frames.reserve_any(count, count, 0) << self.shift
        if empty := self.mode.format.empty(level.name):
            self.memory.entry_view(pa, level.entries)[:] = empty
        return pa

    def _mmu_memory(self) -> Iterator[tuple[str, int]]:
        """Reserve and fill the memory that an emulated CPU's MMU reads besides page tables; yield names and PAs."""
        part = self.target.architecture.emulation
        for memory in () if part is None else part.memory:
            count = div_round_up(memory.size, self.mode.page_size)
            pa = self.frames.reserve_any(count, max(1, memory.alignment >> self.shift), 0) << self.shift
            content = memory.filled(self.target, self.tables.root, pa)
            self.memory.view(pa, memory.size)[:] = np.frombuffer(content, np.uint8)
            yield memory.name, pa

    def _map_direct(self) -> None:
        """Map all RAM, by the largest leaves that fit."""
        names = [level.name for level in self.mode.levels]
        levels = self.mode.levels[names.index(self.mode.direct_map_level) :]
        pa, end = self.memory.base, self.memory.base + self.memory.size
        while pa < end:
            va = self.tables.virt(pa)
            level = next(level for level in levels if not (pa | va) & (level.size - 1) and pa + level.size <= end)
            role = PgprotRole.KERNEL if level is self.mode.last else PgprotRole.KERNEL_LARGE
            larger = None if level is levels[0] else levels[levels.index(level) - 1]
            stop = end if larger is None else min(end, pa + larger.size - va % larger.size)
            count = (stop - pa) // level.size
            self.tables.map_leaves(va, pa >> self.shift, count, level.name, role, self._new_table)
            pa += count * level.size

    # vmemmap

    def _map_vmemmap(self, pages: StructPages) -> list[tuple[VmemmapBacking, Extent]]:
        """Map the struct pages of all RAM; return the frames that back them, with their owners."""
        level = self.mode.level(self.mode.vmemmap_level)
        role = PgprotRole.KERNEL if level is self.mode.last else PgprotRole.KERNEL_LARGE
        backing = []
        first_va = pages.va(self.memory.first_pfn) & ~(level.size - 1)
        for node, extent in enumerate(self.ranges):
            va = max(first_va, pages.va(extent.start) & ~(level.size - 1))
            while va < pages.va(extent.stop):
                owner, pfn = self._vmemmap_block(node, pages.pfn(va), level, first=va == first_va)
                self.tables.map_leaf(va, pfn, level.name, role, self._new_table)
                backing.append((owner, Extent(pfn, pfn + (level.size >> self.shift))))
                va += level.size
        return backing

    def _vmemmap_block(self, node: int, pfn: int, level: Level, *, first: bool) -> tuple[VmemmapBacking, int]:
        """Return owner and first frame for the leaf of the vmemmap that describes the frames from ``pfn`` on."""
        count = level.size >> self.shift
        wanted = self.spec.vmemmap
        if wanted is VmemmapBacking.SELF_HOSTED and not first:
            self.frames.reserve(pfn, count)
            return wanted, pfn
        owner, block = VmemmapBacking.BOOT, None
        if wanted is VmemmapBacking.BUDDY:
            owner, block = wanted, self.frames.allocate(count.bit_length() - 1, GFP_KERNEL, node)
        else:
            with suppress(MachineError):
                block = self.frames.reserve_any(count, count, 0 if node in self.spec.movable_nodes else node)
        if block is None:
            raise MachineError(
                f"{self.spec.memory:#x} bytes of RAM are too little for their own vmemmap",
                rule=f"struct pages are in aligned blocks of {level.size:#x} bytes",
                hint="give the machine more memory",
            )
        return owner, block

    def _initialize_struct_pages(self, pages: StructPages, backing: list[tuple[VmemmapBacking, Extent]]) -> None:
        layout = self.layout
        if not self.spec.deferred_struct_pages:
            for spec in self.zones:
                for part in spec.extents:
                    number = layout.zone_number(spec.kind.name)
                    pages.initialize(part.start, part.frames, node=spec.node, zone=number)
        for owner, extent in backing:
            boot = owner is VmemmapBacking.BOOT
            zone = self.frames.zone_of(extent.start)
            registered = boot and self.target.traits.bootmem_info
            pages.initialize(
                extent.start,
                extent.frames,
                node=zone.node,
                zone=layout.zone_number(zone.kind.name),
                refcount=layout.bootmem_refcount if registered else 1,
                reserved=boot,
            )
            frames = np.arange(extent.start, extent.stop, dtype=np.int64)
            if registered:
                pages.set_words(frames, layout.index, layout.bootmem_types[0])
            if owner is VmemmapBacking.SELF_HOSTED:
                where = pages.locate(frames, layout.flags) >> WORD_SHIFT
                self.memory.words[where] |= np.uint64(1 << layout.pg_vmemmap_self_hosted)


def _check(target: Target, spec: MachineSpec, layout: StructPageLayout) -> None:
    if layout.size % WORD_BYTES or layout.size < layout.refcount + WORD_BYTES // 2:
        raise MachineError(
            f"struct pages of {layout.size} bytes",
            where=str(target),
            rule="struct page in include/linux/mm_types.h: whole words, the first 56 bytes are in every kernel",
            hint="choose a multiple of 8, from 56 on",
        )
    if layout.straddles and spec.vmemmap is VmemmapBacking.SELF_HOSTED:
        raise MachineError(
            f"self-hosted vmemmap with struct pages of {layout.size} bytes",
            where=str(target),
            rule="mhp_supports_memmap_on_memory() in mm/memory_hotplug.c: a block has whole leaves of vmemmap",
            hint="choose another backing, or a power of two",
        )
    most = 1 << layout.node_bits
    if spec.nodes > most:
        raise MachineError(
            f"{spec.nodes} nodes do not fit into the {layout.node_bits} bits of the node in a struct page's flags",
            where=str(target),
            rule=f"NODES_SHIFT in include/linux/numa.h: this kernel has at most {most} nodes",
            hint=f"build a machine with at most {most} nodes",
        )
    if spec.memory <= 0 or spec.nodes < 1 or spec.cpus < 1:
        raise MachineError("a machine needs memory, a node and a CPU", hint="give positive numbers")
    if 0 in spec.movable_nodes or any(node >= spec.nodes for node in spec.movable_nodes):
        raise MachineError(
            f"movable-only nodes {sorted(spec.movable_nodes)} of {spec.nodes}",
            rule="node 0 holds the kernel's own memory and is never movable-only",
        )
