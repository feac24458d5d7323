# SPDX-License-Identifier: GPL-2.0-only
"""x86_64 on an emulator: LA57 with five levels, and CPU modes that change what a walk allows."""

from __future__ import annotations

from hvolab.arch import PgprotRole
from hvolab_x86_64.description import X86_64
from hvolab_x86_64.emulation import EMULATION

_LA57, _WP = 1 << 12, 1 << 16


def settings(mode: str, cpu_mode: str = "") -> dict[str, int]:
    """The registers of a mode, the last value of each."""
    target = X86_64.select(mode)
    for known in EMULATION.cpu_modes:
        target = target.in_cpu_mode(known) if known.name == cpu_mode else target
    return {setting.name: setting.value for setting in EMULATION.settings(target, 0x1000)}


def test_five_levels_need_la57() -> None:
    assert not settings("4-level")["CR4"] & _LA57
    assert settings("5-level")["CR4"] & _LA57
    assert settings("4-level")["CR3"] == 0x1000


def test_a_cpu_mode_sets_its_registers_last() -> None:
    assert settings("4-level")["CR0"] & _WP
    assert not settings("4-level", "wp=0")["CR0"] & _WP


def test_without_nxe_the_nx_bit_is_reserved_and_no_protection_has_it() -> None:
    nxe = next(mode for mode in EMULATION.cpu_modes if mode.name == "nxe=0")
    target = X86_64.select().in_cpu_mode(nxe)
    kernel = target.bits("pte", PgprotRole.KERNEL)
    assert not kernel >> 63
    assert target.mode.format.broken_rules("pte", kernel) == []
    assert target.mode.format.broken_rules("pte", kernel | 1 << 63)
