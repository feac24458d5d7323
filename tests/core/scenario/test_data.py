# SPDX-License-Identifier: GPL-2.0-only
"""Results as data: they fit their schema, and have what the result has."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hvolab.invariants import Finding
from hvolab.invariants.rules.content import CONTENT
from hvolab.invariants.rules.pool import POOL
from hvolab.scenario import RunData, ScenarioResult, ScenarioSpec, parse_operations, run_data, run_scenario
from hvolab.schema import schema_of
from hvolab.serialize import as_data
from tests.machines import MIB, x86_64
from tests.schemas import faults

SPEC = ScenarioSpec(x86_64(), memory=256 * MIB, hugepages={2 * MIB: 2})


def data_of(result: ScenarioResult) -> Any:
    """Return the JSON of a result, which fits the schema."""
    data = json.loads(json.dumps(as_data(run_data(result))))
    assert faults(schema_of(RunData), data) == []
    return data


def test_requested_operations_have_their_outcome_and_the_pools_after_them() -> None:
    data = data_of(run_scenario(replace(SPEC, operations=parse_operations("optimize, dissolve 2M", SPEC.target))))
    assert [each["stage"] for each in data["operations"]] == ["1 optimize", "2 dissolve 2M"]
    assert [(each["done"], each["requested"], each["error"]) for each in data["operations"]] == [(2, 2, 0), (1, 1, 0)]
    assert [each["hugepages"][0]["pages"] for each in data["operations"]] == [2, 1]
    assert [*data["work"]] == ["1 optimize", "2 dissolve 2M"]


def test_default_operations_are_not_listed_and_leave_no_page() -> None:
    data = data_of(run_scenario(SPEC))
    assert data["operations"] == []
    (pool,) = data["hugepages"]
    assert (pool["name"], pool["size"], pool["pages"], pool["left"]) == ("2M", 2 * MIB, 2, 0)
    assert (pool["frames_saved"], pool["bytes_saved"]) == (14, 14 * 4096)
    assert data["invariants"] == {"boot": True, "optimized": True, "restored": True}


def test_the_vmemmap_is_backed_by_pages_of_both_counters() -> None:
    result = run_scenario(SPEC)
    for stage, counters in zip(result.stages, data_of(result)["counters"].values(), strict=True):
        assert stage.counters is not None
        assert stage.counters.total == counters["nr_memmap_pages"] + counters["nr_memmap_boot_pages"] > 0
        assert (counters["key"], counters["free_frames"]) == (stage.key, stage.free_frames)
    assert [stage.key for stage in result.stages] == [0, 2, 0]


@pytest.mark.parametrize(
    ("release", "missing"), [("6.1", {"nr_memmap_pages", "nr_memmap_boot_pages"}), ("7.2", {"key"})]
)
def test_counters_that_a_release_does_not_have_are_null(release: str, missing: set[str]) -> None:
    target = SPEC.target.architecture.select(SPEC.target.mode.name, release=release)
    for counters in data_of(run_scenario(replace(SPEC, target=target)))["counters"].values():
        assert {name for name, value in counters.items() if value is None} == missing


def test_findings_have_their_rule_and_number_of_places() -> None:
    findings = {Finding(CONTENT, "wrong", "VA 0x1", since=3): 2, Finding(POOL, "wrong", declared=True): 1}
    found = data_of(replace(run_scenario(SPEC), findings=findings))["findings"]
    assert [(each["rule"], each["where"], each["declared"], each["count"]) for each in found] == [
        ("content", "VA 0x1", False, 2),
        ("pool", "", True, 1),
    ]
