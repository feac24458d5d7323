# SPDX-License-Identifier: GPL-2.0-only
"""Plans: words of `hvolab run --do`, and writes to sysfs."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_boot.running.plan import default_plan, parse_plan, writes_of

TARGET = registry().architecture("x86_64").select()
SYSFS = "/sys/kernel/mm/hugepages/hugepages"


def test_a_plan_in_short_is_one_of_operations() -> None:
    plan = parse_plan("2M=8, 1G=1, demote 1G, free", TARGET)
    assert list(map(str, plan.steps)) == ["resize 2M 8", "resize 1G 1", "demote 1G", "shrink"]
    assert (plan.smallest, plan.needed, plan.boot) == (2 << 20, (1 << 30) + (16 << 20), "")


@pytest.mark.parametrize(
    ("architecture", "mode", "plan"),
    [
        ("x86_64", None, "2M=8, free"),
        ("riscv", "Sv39", "2M=8, free"),
        ("arm64", "4K-48bit", "2M=8, free"),
        ("arm64", "16K-48bit", "32M=8, free"),
        ("arm64", "64K-48bit", "512M=1, free"),
    ],
)
def test_the_plan_by_default_is_of_the_smallest_size_that_hvo_optimizes(
    architecture: str, mode: str | None, plan: str
) -> None:
    target = registry().architecture(architecture).select(mode)
    assert default_plan(target) == plan
    made = parse_plan(plan, target)
    assert made.smallest == made.largest == made.optimizable[0]


def test_huge_pages_too_small_for_hvo_are_not_lost_by_it() -> None:
    plan = parse_plan("64K=16, 1G=1, free", registry().architecture("arm64").select("4K-48bit"))
    assert (plan.sizes[0], plan.smallest, plan.largest) == (64 << 10, 1 << 30, 1 << 30)


def test_operations_of_boot_are_parameters_of_the_command_line() -> None:
    plan = parse_plan("boot 1G 2, shrink 1G", TARGET)
    assert (plan.boot, plan.needed) == ("hugepagesz=1G hugepages=2", 2 << 30)
    assert list(map(str, plan.steps)) == ["shrink 1G"]


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("2M=8", [(f"{SYSFS}-2048kB/nr_hugepages", 8)]),
        ("free", [(f"{SYSFS}-2048kB/nr_hugepages", 0), (f"{SYSFS}-1048576kB/nr_hugepages", 0)]),
        ("shrink 1G", [(f"{SYSFS}-1048576kB/nr_hugepages", 0)]),
        ("demote 1G 1", [(f"{SYSFS}-1048576kB/demote", 1)]),
        ("overcommit 2M 4", [(f"{SYSFS}-2048kB/nr_overcommit_hugepages", 4)]),
    ],
)
def test_each_step_is_writes_to_sysfs(text: str, writes: list[tuple[str, int]]) -> None:
    (step,) = parse_plan(text, TARGET).steps
    assert list(writes_of(step, [2 << 20, 1 << 30])) == writes


@pytest.mark.parametrize(
    ("text", "hint"), [("poison 2M", "choose one of SIZE=COUNT"), ("grow", "choose one of"), ("3M=1", "sizes")]
)
def test_what_a_kernel_cannot_do_is_refused(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_plan(text, TARGET)
    assert hint in caught.value.hint
