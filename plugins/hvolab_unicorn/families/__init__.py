# SPDX-License-Identifier: GPL-2.0-only
"""Families of emulated CPUs: fault registers, and entry into an exception handler, of one architecture in unicorn."""

from __future__ import annotations

from hvolab.errors import UsageError
from hvolab_unicorn.families.arm64 import ARM64
from hvolab_unicorn.families.family import Family, StateField
from hvolab_unicorn.families.riscv import RISCV
from hvolab_unicorn.families.x86 import X86

__all__ = ["Family", "StateField", "family_of"]

_FAMILIES = {family.architecture: family for family in (X86, ARM64, RISCV)}


def family_of(architecture: str) -> Family:
    """Return the family of an architecture, by unicorn's constant; raises UsageError for one that has none."""
    family = _FAMILIES.get(architecture)
    if family is None:
        raise UsageError(
            f"hvolab cannot read the faults of {architecture}", hint=f"choose one of {', '.join(_FAMILIES)}"
        )
    return family
