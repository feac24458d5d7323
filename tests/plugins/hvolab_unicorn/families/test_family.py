# SPDX-License-Identifier: GPL-2.0-only
"""Families: each architecture that unicorn emulates for hvolab has one, and its registers exist."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_unicorn.families import family_of
from hvolab_unicorn.families.family import StateField
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_registers_and_syndrome_of_a_family_are_those_of_emulator_and_architecture(architecture: str) -> None:
    part = registry().architecture(architecture).emulation
    assert part is not None
    family = family_of(part.emulator[0])
    assert len({family.register(name) for name in family.general}) == len(family.general)
    assert set(part.convention.arguments) <= set(family.general)
    assert family.address_register in part.convention.records
    assert {field.register for field in family.fields} - {""} <= set(part.convention.records)


def test_a_field_without_a_register_has_values_before_and_after_a_fault() -> None:
    for architecture in ("UC_ARCH_X86", "UC_ARCH_ARM64", "UC_ARCH_RISCV"):
        fields = family_of(architecture).fields
        assert all(isinstance(field, StateField) and field.size in {4, 8} for field in fields)
        assert all(field.register or field.clean != field.faulted for field in fields)


def test_an_architecture_without_a_family_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot read the faults of UC_ARCH_MIPS; hint: choose one of UC_ARCH_X86"):
        family_of("UC_ARCH_MIPS")
