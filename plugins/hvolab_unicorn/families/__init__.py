"""What is peculiar to the emulator's CPUs of one family: where faults are told, how exceptions are entered."""

from __future__ import annotations

from hvolab.errors import UsageError
from hvolab_unicorn.families.arm64 import Arm64
from hvolab_unicorn.families.family import Family, StateField
from hvolab_unicorn.families.riscv import Riscv
from hvolab_unicorn.families.x86 import X86

__all__ = ["Family", "StateField", "family_of"]

_FAMILIES: dict[str, Family] = {"UC_ARCH_X86": X86(), "UC_ARCH_ARM64": Arm64(), "UC_ARCH_RISCV": Riscv()}


def family_of(architecture: str) -> Family:
    """The family of that architecture of unicorn; raises UsageError where hvolab knows nothing about it."""
    family = _FAMILIES.get(architecture)
    if family is None:
        raise UsageError(
            f"faults of {architecture} cannot be read off the emulator",
            hint="the families are " + ", ".join(_FAMILIES),
        )
    return family
