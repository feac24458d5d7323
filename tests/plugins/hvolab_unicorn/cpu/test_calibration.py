"""Calibration: each field is found once in a process, at one offset, also for CPUs in another mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hvolab.machine import MachineSpec, build_machine
from hvolab_unicorn.cpu import calibration
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.emulator.errors import EmulatorError
from tests.plugins.hvolab_unicorn.raw import MODES
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, MIB, lab, target_of


@pytest.fixture
def uncalibrated(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Mapping[str, int]]:
    found: dict[tuple[str, str], Mapping[str, int]] = {}
    monkeypatch.setattr(calibration, "_FOUND", found)
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fields_are_found_apart_and_at_the_same_offsets_again(
    architecture: str, uncalibrated: dict[tuple[str, str], Mapping[str, int]]
) -> None:
    vcpu = lab(architecture).cpu.vcpu
    assert set(vcpu.offsets) == {field.name for field in vcpu.family.fields}
    assert len(set(vcpu.offsets.values())) == len(vcpu.offsets)
    (first,) = uncalibrated.values()
    uncalibrated.clear()
    assert lab(architecture).cpu.vcpu.offsets == first


def test_a_cpu_in_another_mode_is_calibrated_on_a_machine_in_the_kernels(
    uncalibrated: dict[tuple[str, str], Mapping[str, int]],
) -> None:
    target = target_of(MODES["x86_64"])
    part = target.architecture.emulation
    assert part is not None
    other = build_machine(target.in_cpu_mode(part.cpu_modes[0]), MachineSpec(memory=64 * MIB))
    assert VirtualCpu(other, 0).offsets == lab("x86_64").cpu.vcpu.offsets
    assert len(uncalibrated) == 1


def test_a_field_that_the_state_does_not_have_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_FOUND", {})

    def wrong(*_: Any) -> int:
        return 0x1122334455667788

    monkeypatch.setattr(calibration, "_reported", wrong)
    with pytest.raises(EmulatorError, match="0 candidates for the field badaddr"):
        lab("riscv")
