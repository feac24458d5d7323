# SPDX-License-Identifier: GPL-2.0-only
"""Calibration: each field is found once in a process, at one offset, also for CPUs in another mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hvolab.machine import MachineSpec, build_machine
from hvolab_unicorn.cpu import calibration, vcpu
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.emulator.errors import EmulatorError
from tests.plugins.hvolab_unicorn.raw import MODES
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, MIB, lab, target_of


@pytest.fixture
def uncalibrated(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Mapping[str, int]]:
    found: dict[tuple[str, str], Mapping[str, int]] = {}
    monkeypatch.setattr(vcpu, "_OFFSETS", found)
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fields_are_found_apart_and_at_the_same_offsets_again(
    architecture: str, uncalibrated: dict[tuple[str, str], Mapping[str, int]]
) -> None:
    family = lab(architecture).cpu.vcpu.family
    (first,) = uncalibrated.values()
    assert set(first) == {field.name for field in family.fields}
    assert len(set(first.values())) == len(first)
    uncalibrated.clear()
    lab(architecture)
    assert list(uncalibrated.values()) == [first]


def test_a_cpu_in_another_mode_is_calibrated_on_a_machine_in_the_kernels(
    uncalibrated: dict[tuple[str, str], Mapping[str, int]],
) -> None:
    target = target_of(MODES["x86_64"])
    part = target.architecture.emulation
    assert part is not None
    other = build_machine(target.in_cpu_mode(part.cpu_modes[0]), MachineSpec(memory=64 * MIB))
    VirtualCpu(other, 0)
    found = dict(uncalibrated)
    uncalibrated.clear()
    lab("x86_64")
    assert uncalibrated == found


def test_a_field_that_the_state_does_not_have_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcpu, "_OFFSETS", {})

    def wrong(*_: Any) -> int:
        return 0x1122334455667788

    monkeypatch.setattr(calibration, "_reported", wrong)
    with pytest.raises(EmulatorError, match="0 candidates for the field badaddr"):
        lab("riscv")
