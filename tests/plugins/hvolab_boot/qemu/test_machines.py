# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's machines fit the architectures, and a missing QEMU is named with its package."""

from __future__ import annotations

import shutil

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_boot.qemu.machines import MACHINES, QemuMachine, has_kvm, machine_for
from hvolab_boot.qemu.process import Qemu


@pytest.mark.parametrize("name", ["x86_64", "arm64", "riscv"])
def test_each_mode_with_options_is_declared(name: str) -> None:
    architecture = registry().architecture(name)
    assert set(MACHINES[architecture.elf_machine].modes) <= {mode.name for mode in architecture.modes}


def test_a_missing_qemu_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError) as caught:
        machine_for("EM_RISCV")
    assert "apt-get install qemu-system-misc" in caught.value.hint


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_a_machine_may_have_more_than_eight_cpus(machine: QemuMachine) -> None:
    if shutil.which(machine.program) is None:
        pytest.skip(f"there is no {machine.program}: apt-get install {machine.package}")
    options = ["-cpu", machine.cpu, "-smp", "9", "-m", "64M", "-accel", "tcg", "-S"]
    with Qemu([machine.program, "-machine", machine.machine, *options]) as qemu:
        assert len(qemu.monitor.execute("query-cpus-fast")) == 9


def test_other_machines_cannot_be_booted() -> None:
    with pytest.raises(UsageError, match="cannot boot kernels of EM_S390"):
        machine_for("EM_S390")


def test_kvm_runs_only_its_own_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    assert not any(map(has_kvm, MACHINES.values()))
