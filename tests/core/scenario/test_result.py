"""Savings of a result, and its operations as data."""

from __future__ import annotations

from dataclasses import replace

from hvolab.scenario import ScenarioSpec, parse_operations, run_scenario
from tests.machines import MIB, x86_64

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
