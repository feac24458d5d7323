# SPDX-License-Identifier: GPL-2.0-only
"""arm64 in unicorn: EL1 has to be set to 64 bits, and the page size to the mode's."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.machine import MachineSpec, build_machine
from hvolab_unicorn.families import family_of
from hvolab_unicorn.families.arm64 import ARM64
from tests.plugins.hvolab_unicorn.raw import MODES, cpu_of
from tests.plugins.hvolab_unicorn.twins import MIB, target_of

unicorn = pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
arm64_const = pytest.importorskip("unicorn.arm64_const")


def test_arm64_fetches_nothing_with_the_mmu_on_unless_el1_is_set_to_64_bit() -> None:
    machine = build_machine(target_of(MODES["arm64"]), MachineSpec(memory=64 * MIB))
    part = machine.target.architecture.emulation
    assert part is not None
    settings = part.registers(machine.target, machine.tables.root)
    assert settings[0].at == (3, 6, 1, 1, 0)
    assert settings[0].value == 1 << 10
    for skipped, numbers in ((1, [3]), (0, [])):
        uc = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        uc.ctl_set_page_size(4096)
        uc.ctl_set_cpu_model(arm64_const.UC_CPU_ARM64_MAX)
        uc.mem_map_ptr(machine.memory.base, machine.memory.size, 7, machine.memory.octets.ctypes.data)
        for setting in settings[skipped:]:
            uc.cpr_write(*setting.at, setting.value)
        assert machine.guest is not None
        machine.memory.write_word(machine.guest.text[0] << 12, 0xD503201FD503201F)  # two nops
        seen: list[int] = []

        def stop(emulator: Any, number: int, _: object, seen: list[int] = seen) -> None:
            seen.append(number)
            emulator.emu_stop()

        uc.hook_add(unicorn.UC_HOOK_INTR, stop)
        uc.emu_start(machine.guest.text_va, machine.guest.text_va + 4)
        assert seen == numbers


def test_the_page_size_of_arm64_is_set_and_only_arm64_has_one() -> None:
    """Pages of 1 KiB are its default: then every page of 4 KiB is a large one, and each flush forgets all."""
    assert cpu_of("arm64").vcpu.uc.ctl_get_page_size() == 4096
    assert family_of("UC_ARCH_ARM64").sets_page_size
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    with pytest.raises(unicorn.UcError):
        uc.ctl_set_page_size(16384)


def test_the_syndrome_is_esr_and_far() -> None:
    syndrome = ARM64.syndrome(None, 4, {"syndrome": 0x96000007, "address": 0x1000})
    assert syndrome == (("esr", 0x96000007), ("far", 0x1000))
    assert dict(syndrome)[ARM64.address_register] == 0x1000
