"""What a machine is made of: memory, frames, page tables, struct pages, CPUs and their TLBs."""

from __future__ import annotations

from hvolab.machine.build import MachineSpec, VmemmapBacking, build_machine
from hvolab.machine.cpu import Cpu, CpuMaker, StepCpu, use_cpus
from hvolab.machine.frames import FrameAllocator
from hvolab.machine.guest import SCRATCH_FRAMES, GuestArea, map_guest_text
from hvolab.machine.machine import Machine
from hvolab.machine.memory import PhysicalMemory
from hvolab.machine.model_cpu import ModelCpu
from hvolab.machine.structpage import V6_12, StructPageLayout
from hvolab.machine.structpages import StructPages
from hvolab.machine.tables import PageTables
from hvolab.machine.verdicts import Verdict, Verdicts

__all__ = [
    "SCRATCH_FRAMES",
    "V6_12",
    "Cpu",
    "CpuMaker",
    "FrameAllocator",
    "GuestArea",
    "Machine",
    "MachineSpec",
    "ModelCpu",
    "PageTables",
    "PhysicalMemory",
    "StepCpu",
    "StructPageLayout",
    "StructPages",
    "Verdict",
    "Verdicts",
    "VmemmapBacking",
    "build_machine",
    "map_guest_text",
    "use_cpus",
]
