# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a machine: memory, frames, page tables, struct pages, CPUs and their TLBs."""

from __future__ import annotations

from hvolab.machine.build import MachineSpec, VmemmapBacking, build_machine
from hvolab.machine.cpus.bulk import BulkCpu
from hvolab.machine.cpus.cpu import Cpu, StepCpu
from hvolab.machine.cpus.guest import SCRATCH_FRAMES, GuestArea, map_guest_text
from hvolab.machine.cpus.model_cpu import ModelCpu
from hvolab.machine.cpus.permissions import WalkPermission, WalkPermissions
from hvolab.machine.frames.allocator import FrameAllocator
from hvolab.machine.machine import CpuMaker, Machine, use_cpus
from hvolab.machine.memory.physical import PhysicalMemory
from hvolab.machine.memory.source import FrameState, MemorySource
from hvolab.machine.memory.tables import PageTables
from hvolab.machine.struct_pages.pages import StructPages

__all__ = [
    "SCRATCH_FRAMES",
    "BulkCpu",
    "Cpu",
    "CpuMaker",
    "FrameAllocator",
    "FrameState",
    "GuestArea",
    "Machine",
    "MachineSpec",
    "MemorySource",
    "ModelCpu",
    "PageTables",
    "PhysicalMemory",
    "StepCpu",
    "StructPages",
    "VmemmapBacking",
    "WalkPermission",
    "WalkPermissions",
    "build_machine",
    "map_guest_text",
    "use_cpus",
]
