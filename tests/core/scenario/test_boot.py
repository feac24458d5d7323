# SPDX-License-Identifier: GPL-2.0-only
"""Command lines of scenarios: HVO's switch, and pages that are allocated before all operations."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab.scenario import ScenarioSpec, parse_boot, parse_operations, run_scenario
from tests.machines import GIB, MIB, x86_64

TARGET = x86_64()


def test_the_last_switch_counts_and_dashes_are_underscores() -> None:
    assert parse_boot("", TARGET, 1).optimize_enabled
    assert not parse_boot("hugetlb_free_vmemmap=1 hugetlb-free-vmemmap=n", TARGET, 1).optimize_enabled
    assert parse_boot("hugetlb_free_vmemmap=n hugetlb_free_vmemmap -- whatever", TARGET, 1).optimize_enabled


def test_pages_become_operations_of_boot_the_largest_first() -> None:
    settings = parse_boot("hugepages=3 hugepagesz=1G hugepages=0:1,1:2", TARGET, 2)
    assert [str(each) for each in settings.operations] == ["boot 1G 0:1,1:2", "boot 2M 3"]
    assert not settings.messages


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("quiet", "'quiet' is not a boot parameter that is modeled", "choose one of hugetlb_free_vmemmap, hugepagesz"),
        ("hugetlb_free_vmemmap=maybe", "'maybe' is neither on nor off", "write hugetlb_free_vmemmap=on"),
        ("hugepages", "hugepages has no value", "write hugepages=2"),
        ("hugepagesz", "hugepagesz has no value", "write hugepagesz=2M"),
    ],
)
def test_other_parameters_are_refused(text: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_boot(text, TARGET, 1)
    assert refused.value.what == what
    assert refused.value.hint.startswith(hint)


@pytest.mark.parametrize(("operations", "last"), [("", "2 shrink"), ("use 2M", "2 use 2M")])
def test_pages_of_boot_are_there_before_the_operations(operations: str, last: str) -> None:
    boot = parse_boot("hugepagesz=1G hugepages=0 hugepagesz=2M hugepages=0:2,1:3 hugepagesz=1G", TARGET, 2)
    chosen = parse_operations(operations, TARGET) if operations else ()
    result = run_scenario(ScenarioSpec(TARGET, memory=GIB, nodes=2, boot=boot, operations=chosen))
    assert result.as_declared
    assert [stage.name for stage in result.stages] == ["boot", "1 boot 2M 0:2,1:3", last]
    (pool,) = (pool for pool in result.stages[1].pools if pool.huge_page.size == 2 * MIB)
    assert pool.per_node == (2, 3)
    assert result.notes == ("HugeTLB: hugepagesz=1G specified twice, ignoring",)


def test_areas_for_gigantic_pages_replace_boot_memory_and_keep_small_pages_from_demotion() -> None:
    target = registry().architecture("arm64").select("4K-48bit")
    settings = parse_boot("hugetlb_cma=1G hugepagesz=32M hugepages=1 hugepagesz=2M hugepages=2", target, 1)
    assert [str(each) for each in settings.operations] == ["boot 2M 2"]
    assert settings.messages == ("HugeTLB: hugetlb_cma is enabled, skip boot time allocation",)
    with pytest.raises(UsageError, match="cannot be demoted"):
        run_scenario(ScenarioSpec(target, memory=GIB, boot=settings, operations=parse_operations("demote 2M", target)))
