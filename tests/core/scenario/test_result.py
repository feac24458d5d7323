# SPDX-License-Identifier: GPL-2.0-only
"""Savings of a result, its pools and operations as data, and findings joined."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.hvo import VmemmapSizes
from hvolab.invariants import Finding
from hvolab.invariants.rules.content import CONTENT
from hvolab.invariants.rules.pool import POOL
from hvolab.scenario import PoolReport, ScenarioSpec, parse_operations, run_scenario
from hvolab.scenario.result import counted
from tests.machines import MIB, x86_64

SMALLEST = x86_64().mode.huge_pages[0]
SPEC = ScenarioSpec(x86_64(), memory=256 * MIB, hugepages={2 * MIB: 2})


def test_savings_are_measured_once_optimized() -> None:
    result = run_scenario(SPEC)
    assert (result.frames_saved, result.vmemmap_frames, result.percent_saved) == (14, 16, 87.5)
    assert [*result.work] == ["fill", "drain"]
    assert result.measured.name == "optimized"
    assert "operations" not in result.as_dict()


def test_savings_of_requested_operations_are_measured_after_the_last() -> None:
    result = run_scenario(replace(SPEC, operations=parse_operations("optimize, dissolve 2M", SPEC.target)))
    assert (result.frames_saved, result.percent_saved, result.left) == (7, 87.5, (1, 0))
    data = result.as_dict()
    assert [each["stage"] for each in data["operations"]] == ["1 optimize", "2 dissolve 2M"]
    assert [*data["work"]] == ["1 optimize", "2 dissolve 2M"]
    assert data["page_tables_allocated"] == 1


def test_a_pool_counts_its_pages_and_the_frames_that_it_saves() -> None:
    report = PoolReport(SMALLEST, VmemmapSizes(9, 4096, 64), 8, (3, 2), free=4, surplus=1, optimized=5)
    assert (report.pages, report.frames_saved) == (5, 35)
    data = report.as_dict()
    assert (data["name"], data["size"], data["bytes_saved"]) == ("2M", 2 * MIB, 35 * 4096)
    assert (data["pages"], data["free"], data["surplus"], data["pages_per_node"]) == (5, 4, 1, [3, 2])


def test_the_vmemmap_is_backed_by_pages_of_both_counters() -> None:
    result = run_scenario(SPEC)
    for stage, counters in zip(result.stages, result.as_dict()["counters"].values(), strict=True):
        assert stage.counters is not None
        assert stage.counters.total == counters["nr_memmap_pages"] + counters["nr_memmap_boot_pages"] > 0
        assert (counters["key"], counters["free_frames"]) == (stage.key, stage.free_frames)
    assert [stage.key for stage in result.stages] == [0, 2, 0]


@pytest.mark.parametrize(
    ("release", "missing"), [("6.1", {"nr_memmap_pages", "nr_memmap_boot_pages"}), ("7.2", {"key"})]
)
def test_counters_that_a_release_does_not_have_are_null(release: str, missing: set[str]) -> None:
    target = SPEC.target.architecture.select(SPEC.target.mode.name, release=release)
    for counters in run_scenario(replace(SPEC, target=target)).as_dict()["counters"].values():
        assert {name for name, value in counters.items() if value is None} == missing


def test_findings_that_differ_in_their_place_alone_are_counted_together() -> None:
    findings = [
        Finding(CONTENT, "wrong", "VA 0x1", since=3),
        Finding(POOL, "wrong"),
        Finding(CONTENT, "wrong", "VA 0x2", since=4),
        Finding(CONTENT, "wrong", "VA 0x2", declared=True),
    ]
    joined = counted(findings)
    assert [(finding.rule, count, finding.where) for finding, count in joined.items()] == [
        ("content", 2, "VA 0x1"),
        ("pool", 1, ""),
        ("content", 1, "VA 0x2"),
    ]
    data = replace(run_scenario(SPEC), findings=joined).as_dict()["findings"]
    assert [(each["rule"], each["count"]) for each in data] == [("content", 2), ("pool", 1), ("content", 1)]
