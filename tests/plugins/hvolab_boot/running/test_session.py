# SPDX-License-Identifier: GPL-2.0-only
"""A boot: the command of QEMU, and the stages that are taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hvolab.plugin import registry
from hvolab_boot.qemu.machines import MACHINES, ModeOptions
from hvolab_boot.running.plan import parse_plan
from hvolab_boot.running.session import BootSpec

MACHINE = MACHINES["EM_X86_64"]
SPEC = BootSpec(
    Path("bzImage"), b"", MACHINE, parse_plan("boot 1G 1, free", registry().architecture("x86_64").select())
)


def test_parameters_of_the_user_come_last() -> None:
    spec = replace(SPEC, mode=ModeOptions(boot="no5lvl"), boot="hugetlb_free_vmemmap=off")
    assert spec.command_line.split()[-5:] == [
        "hugetlb_free_vmemmap=on",
        "no5lvl",
        "hugepagesz=1G",
        "hugepages=1",
        "hugetlb_free_vmemmap=off",
    ]


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({}, "max"),
        ({"mode": ModeOptions(cpu="la57=off")}, "max,la57=off"),
        ({"kvm": True, "mode": ModeOptions(cpu="la57=off")}, "host,la57=off"),
        ({"cpu": "Skylake-Server", "mode": ModeOptions(cpu="la57=off")}, "Skylake-Server"),
    ],
)
def test_the_cpu_model_is_the_users_or_that_of_machine_and_mode(changes: dict[str, Any], model: str) -> None:
    command = replace(SPEC, **changes).command(Path("initramfs"))
    assert command[command.index("-cpu") + 1] == model
    assert command[command.index("-accel") + 1] == ("kvm" if changes.get("kvm") else "tcg")


@pytest.mark.slow
def test_a_stage_is_taken_after_each_step(booted: tuple[int, dict[str, Any]]) -> None:
    stages = booted[1]["stages"]
    assert [one["name"] for one in stages] == ["boot", "resize 2M 8", "shrink"]
    assert [sum(pool["total"] for pool in one["pools"]) for one in stages] == [0, 8, 0]
    assert [one["optimized"] for one in stages] == [{}, {str(2 << 20): 8}, {}]
    assert not any(one["unread"] or one["errors"] for one in stages)
