"""The words in which an architecture is described; no behavior of the kernel."""

from __future__ import annotations

from hvolab.arch.architecture import Architecture, Feature, ReleaseChange, ZoneLimit
from hvolab.arch.emulation import (
    Convention,
    CpuMode,
    EmulationPart,
    EmulatorLimit,
    InstructionSequence,
    RegisterSetting,
    RegisterSetup,
    WalkLimit,
)
from hvolab.arch.entry import Entry, EntryForm, EntryFormat, EntryKind
from hvolab.arch.fault import Access, Fault, FaultKind, PageFault
from hvolab.arch.fields import AddressPart, EntryRule, Field, FieldValues, Match, values
from hvolab.arch.geometry import HugePageSize, Level, LinearOrigin, PagingMode
from hvolab.arch.instructions import load_emulation_part
from hvolab.arch.mmu import MmuRules, Permission, UpdateRule
from hvolab.arch.pgprot import Pgprot, PgprotRole
from hvolab.arch.reference_values import Example, ModeFigures
from hvolab.arch.steps import BARRIERS, STEP_BY_NAME, STEPS, StepContract
from hvolab.arch.target import Target
from hvolab.arch.traits import EntryUpdateRule, LiveEntryRule, MemoryOrder, Traits

__all__ = [
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
    "MmuRules",
    "ModeFigures",
    "PageFault",
    "PagingMode",
    "Permission",
    "Pgprot",
    "PgprotRole",
    "RegisterSetting",
    "RegisterSetup",
    "ReleaseChange",
    "StepContract",
    "Target",
    "Traits",
    "UpdateRule",
    "WalkLimit",
    "ZoneLimit",
    "load_emulation_part",
    "values",
]
