# SPDX-License-Identifier: GPL-2.0-only
"""Savings of a result, its pools and operations as data, and findings joined."""

from __future__ import annotations

from dataclasses import replace

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


def test_savings_of_requested_operations_are_measured_after_the_last() -> None:
    result = run_scenario(replace(SPEC, operations=parse_operations("optimize, dissolve 2M", SPEC.target)))
    assert (result.frames_saved, result.percent_saved, result.left) == (7, 87.5, (1, 0))
    assert [*result.work] == ["1 optimize", "2 dissolve 2M"]
    assert result.page_tables_allocated == 1


def test_a_pool_counts_its_pages_and_the_frames_that_it_saves() -> None:
    report = PoolReport(SMALLEST, VmemmapSizes(9, 4096, 64), 8, (3, 2), free=4, surplus=1, optimized=5)
    assert (report.pages, report.frames_saved) == (5, 35)


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
