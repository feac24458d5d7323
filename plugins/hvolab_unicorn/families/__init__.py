"""Families of emulated CPUs: fault registers, and entry into an exception handler, of one architecture in unicorn."""

from __future__ import annotations

from hvolab.errors import UsageError
from hvolab_unicorn.families.arm64 import Arm64
from hvolab_unicorn.families.family import Family, StateField
from hvolab_unicorn.families.riscv import Riscv
from hvolab_unicorn.families.x86 import X86

__all__ = ["Family", "StateField", "family_of"]

_FAMILIES: dict[str, Family] = {"UC_ARCH_X86": X86(), "UC_ARCH_ARM64": Arm64(), "UC_ARCH_RISCV": Riscv()}


def family_of(architecture: str) -> Family:
    """Return the family of an architecture, by unicorn's constant; raises UsageError for one that has none."""
    family = _FAMILIES.get(architecture)
    if family is None:
        raise UsageError(
            f"hvolab cannot read the faults of {architecture}", hint=f"choose one of {', '.join(_FAMILIES)}"
        )
    return family
