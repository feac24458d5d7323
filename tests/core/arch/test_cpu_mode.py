# SPDX-License-Identifier: GPL-2.0-only
"""CPU modes: other registers, other permissions, other reserved bits."""

from __future__ import annotations

import pytest

from hvolab.arch import CpuMode, Permission, PgprotRole
from hvolab.errors import EncodingError
from tests.made_up import MADE_UP

MODE = CpuMode("sw=0", "SW is reserved", mmu=(("write", Permission()),), clears=("SW",), reserves=1 << 3, source="here")


def test_each_reserved_bit_is_a_rule() -> None:
    assert [rule.broken_by.mask for rule in MODE.rules] == [1 << 3]
    assert MODE.rules[0].text == "bits 0x8 are reserved: SW is reserved"


def test_a_selection_in_a_cpu_mode_has_its_permissions_and_rules() -> None:
    plain = MADE_UP.select(release="6.1")
    changed = plain.in_cpu_mode(MODE)
    read_only = plain.leaf("last", 0, PgprotRole.KERNEL_RO)
    assert read_only & 1 << 3
    assert changed.leaf("last", 0, PgprotRole.KERNEL_RO) == read_only & ~(1 << 3)
    with pytest.raises(EncodingError, match=r"SW is reserved; .*rule: here"):
        changed.decode("last", read_only)
    assert not plain.mmu.write.grants(read_only, ())
    assert changed.mmu.write.grants(read_only, ())
    assert (changed.cpu_mode, changed.architecture) == (MODE, MADE_UP)
