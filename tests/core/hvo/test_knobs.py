# SPDX-License-Identifier: GPL-2.0-only
"""The boot parameter and the sysctl."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.hvo import Sysctl
from hvolab.hvo.command_line import Parameter
from hvolab.hvo.knobs import BOOT_PARAMETER, enables
from hvolab.machine import MachineSpec
from tests.kernel_runs import Order
from tests.machines import MIB, pools


def test_the_boot_parameter_switches_on_or_off() -> None:
    assert enables(Parameter(BOOT_PARAMETER, "on"))
    assert enables(Parameter(BOOT_PARAMETER, None))
    assert not enables(Parameter(BOOT_PARAMETER, "0"))
    with pytest.raises(UsageError, match="'maybe' is neither on nor off"):
        enables(Parameter(BOOT_PARAMETER, "maybe"))


def test_the_sysctl_decides_about_folios_to_come() -> None:
    lab = pools(MachineSpec(memory=512 * MIB, optimize_enabled=False))
    sysctl = Sysctl(lab.machine, [pool.h for pool in lab.pools])
    assert sysctl.read() == "0"
    lab.pools[0].set_max_huge_pages(1)
    assert lab.machine.key == 0
    sysctl.write("1\n")
    lab.pools[0].set_max_huge_pages(2)
    assert (lab.machine.key, sysctl.read()) == (1, "1")
    assert not lab.findings()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        *(("0", "0"), ("1", "1"), ("2\n", "1"), ("-1", "1"), ("  7 0\n", "1"), ("0x0", "0"), ("0X10", "1")),
        *(("00", "0"), ("010", "1"), ("-0", "0"), ("1\t", "1"), ("2147483647", "1"), ("-2147483648", "1")),
    ],
)
def test_the_sysctl_takes_integers_as_proc_dobool_does(text: str, read: str) -> None:
    lab = pools(MachineSpec(memory=256 * MIB, optimize_enabled=read == "0"))
    sysctl = Sysctl(lab.machine, [pool.h for pool in lab.pools])
    sysctl.write(text)
    assert sysctl.read() == read


@pytest.mark.parametrize(
    "text", ["", "\n", "on", "y", "1a", "1.0", "+1", "08", "0x", "- 1", "2147483648", "-2147483649", "1,0"]
)
def test_the_sysctl_refuses_what_proc_dobool_does(text: str) -> None:
    lab = pools(MachineSpec(memory=256 * MIB))
    sysctl = Sysctl(lab.machine, [pool.h for pool in lab.pools])
    with pytest.raises(UsageError, match="cannot be written to"):
        sysctl.write(text)
    assert sysctl.read() == "1"


def test_without_an_optimizable_size_there_is_no_sysctl() -> None:
    lab = pools(MachineSpec(memory=512 * MIB))
    sysctl = Sysctl(lab.machine, [Order(6)])
    assert not sysctl.registered
    with pytest.raises(UsageError, match="registered only if"):
        sysctl.read()
