# SPDX-License-Identifier: GPL-2.0-only
"""Instances of unicorn: little address space, and the constants that settings name."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.machine import MachineSpec, build_machine
from hvolab_unicorn import emulate
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from tests.plugins.hvolab_unicorn.raw import MODES
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, MIB, target_of

riscv_const, x86_const = (pytest.importorskip(f"unicorn.{name}_const") for name in ("riscv", "x86"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_cpu_takes_little_of_the_hosts_address_space(architecture: str) -> None:
    """unicorn reserves 1 GiB for translated code unless it is told otherwise."""
    machine = build_machine(target_of(MODES[architecture]), MachineSpec(memory=64 * MIB))
    emulate(machine)
    before = _status("VmSize")
    kept = [EmulatedCpu(machine, 0) for _ in range(4)]
    assert (_status("VmSize") - before) // len(kept) < 128 << 10


def _status(name: str) -> int:
    """KiB that the host's kernel tells of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def test_the_constants_that_settings_name_are_the_emulators() -> None:
    assert x86_const.UC_X86_REG_CR3
    assert riscv_const.UC_RISCV_REG_PRIV
