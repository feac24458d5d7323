# SPDX-License-Identifier: GPL-2.0-only
"""Data types that describe an architecture; no behavior of the kernel."""

from __future__ import annotations

from hvolab.arch.architecture import Architecture, Target, ZoneLimit
from hvolab.arch.cpu_mode import CpuMode, RegisterSetting
from hvolab.arch.emulation import (
    Convention,
    EmulationPart,
    EmulatorLimit,
    InstructionSequence,
    MmuMemory,
    RegisterSetup,
    WalkLimit,
)
from hvolab.arch.entry import (
    ADDRESS,
    AddressPart,
    Entry,
    EntryForm,
    EntryKind,
    EntryRule,
    Field,
    FieldValues,
    Match,
    SoftwareEntry,
    set_bits,
    values,
)
from hvolab.arch.features import Feature, ReleaseChange
from hvolab.arch.geometry import EntryFormat, HugePageSize, Level, LinearOrigin, PagingMode, tiled_levels
from hvolab.arch.instructions import load_emulation_part
from hvolab.arch.mmu import Access, Fault, FaultKind, MmuRules, PageFault, Permission, UpdateRule
from hvolab.arch.page_flags import PageFlags
from hvolab.arch.pgprot import Pgprot, PgprotRole
from hvolab.arch.reference_values import Example, ModeFigures
from hvolab.arch.selection import Selection
from hvolab.arch.steps import BARRIERS, STEP_BY_NAME, STEPS, StepContract
from hvolab.arch.traits import EntryUpdateRule, LiveEntryRule, MemoryOrder, Traits
from hvolab.overrides import Overrides

__all__ = [
    "ADDRESS",
    "BARRIERS",
    "STEPS",
    "STEP_BY_NAME",
    "Access",
    "AddressPart",
    "Architecture",
    "Convention",
    "CpuMode",
    "EmulationPart",
    "EmulatorLimit",
    "Entry",
    "EntryForm",
    "EntryFormat",
    "EntryKind",
    "EntryRule",
    "EntryUpdateRule",
    "Example",
    "Fault",
    "FaultKind",
    "Feature",
    "Field",
    "FieldValues",
    "HugePageSize",
    "InstructionSequence",
    "Level",
    "LinearOrigin",
    "LiveEntryRule",
    "Match",
    "MemoryOrder",
    "MmuMemory",
    "MmuRules",
    "ModeFigures",
    "Overrides",
    "PageFault",
    "PageFlags",
    "PagingMode",
    "Permission",
    "Pgprot",
    "PgprotRole",
    "RegisterSetting",
    "RegisterSetup",
    "ReleaseChange",
    "Selection",
    "SoftwareEntry",
    "StepContract",
    "Target",
    "Traits",
    "UpdateRule",
    "WalkLimit",
    "ZoneLimit",
    "load_emulation_part",
    "set_bits",
    "tiled_levels",
    "values",
]
