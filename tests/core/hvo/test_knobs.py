# SPDX-License-Identifier: GPL-2.0-only
"""The boot parameter and the sysctl."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.hvo import Sysctl, parse_boot_parameter
from hvolab.machine import MachineSpec
from tests.kernel_runs import Order
from tests.machines import MIB, pools


@pytest.mark.parametrize("value", ["on", "On", "1", "y", "yes", "true"])
def test_the_boot_parameter_switches_on(value: str) -> None:
    assert parse_boot_parameter(f"hugetlb_free_vmemmap={value}")


@pytest.mark.parametrize("value", ["off", "0", "n", "No", "false"])
def test_the_boot_parameter_switches_off(value: str) -> None:
    assert not parse_boot_parameter(f"hugetlb_free_vmemmap={value}")


def test_the_boot_parameter_without_a_value_switches_on() -> None:
    assert parse_boot_parameter("hugetlb_free_vmemmap")


@pytest.mark.parametrize("argument", ["hugetlb_free_vmemmap=maybe", "hugetlb_free_vmemmap=", "hugepages=1"])
def test_another_boot_parameter_is_refused(argument: str) -> None:
    with pytest.raises(UsageError):
        parse_boot_parameter(argument)


def test_the_sysctl_decides_about_folios_to_come() -> None:
    lab = pools(MachineSpec(memory=512 * MIB, optimize_enabled=False))
    sysctl = Sysctl(lab.machine, [pool.h for pool in lab.pools])
    assert sysctl.read() == "0"
    lab.pools[0].set_max_huge_pages(1)
    assert lab.machine.key == 0
    sysctl.write("1\n")
    lab.pools[0].set_max_huge_pages(2)
    assert (lab.machine.key, sysctl.read()) == (1, "1")
    with pytest.raises(UsageError, match="0 or 1"):
        sysctl.write("2")
    assert not lab.findings()


def test_without_an_optimizable_size_there_is_no_sysctl() -> None:
    lab = pools(MachineSpec(memory=512 * MIB))
    sysctl = Sysctl(lab.machine, [Order(6)])
    assert not sysctl.registered
    with pytest.raises(UsageError, match="registered only if"):
        sysctl.read()
