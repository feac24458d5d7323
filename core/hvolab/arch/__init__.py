"""The words in which an architecture is described; no behaviour of the kernel."""

from __future__ import annotations

from hvolab.arch.architecture import Architecture, Feature, GenerationChange, ZoneLimit
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
from hvolab.arch.fields import AddressPart, Field, FieldValues, Match, Rule, values
from hvolab.arch.geometry import HugePageSize, Level, LinearOrigin, PagingMode
from hvolab.arch.instructions import load_emulation_part
from hvolab.arch.known import Example, ModeFigures
from hvolab.arch.mmu import MmuRules, Permission, UpdateRule
from hvolab.arch.pgprot import Pgprot, PgprotRole
from hvolab.arch.steps import BARRIERS, STEP_BY_NAME, STEPS, Step
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
    "EntryUpdateRule",
    "Example",
    "Fault",
    "FaultKind",
    "Feature",
    "Field",
    "FieldValues",
    "GenerationChange",
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
    "Rule",
    "Step",
    "Target",
    "Traits",
    "UpdateRule",
    "WalkLimit",
    "ZoneLimit",
    "load_emulation_part",
    "values",
]
