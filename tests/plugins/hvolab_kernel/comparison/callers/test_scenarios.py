# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of pools: each has its own name, and starts from an empty pool."""

from __future__ import annotations

import pytest

from hvolab.plugin import registry
from hvolab_kernel.comparison.callers.scenarios import PoolOperation, PoolScenarioData, pool_scenarios_of

TAKING = {
    PoolOperation.DEQUEUE,
    PoolOperation.DEQUEUE_RESERVED,
    PoolOperation.ALLOC_SURPLUS,
    PoolOperation.ALLOC_TEMPORARY,
}


@pytest.mark.parametrize("architecture", ["x86_64", "arm64", "riscv"])
def test_every_scenario_has_a_name_of_its_own_and_steps_that_can_be_carried_out(architecture: str) -> None:
    target = registry().architecture(architecture).select()
    scenarios = pool_scenarios_of(target)
    assert len({one.name for one in scenarios}) == len(scenarios)
    assert {one.huge_page.size for one in scenarios} == {target.mode.levels[-2].size, 1 << 30}
    assert {one.nodes for one in scenarios} == {1, 2}
    operations = {step.operation for one in scenarios for step in (*one.prelude, *one.steps)}
    assert operations == set(PoolOperation)
    for one in scenarios:
        used = 0
        for step in (*one.prelude, *one.steps):
            used += step.operation in TAKING
            used -= step.operation is PoolOperation.PUT
            assert used >= 0, one.name


def test_a_step_is_shown_with_its_number() -> None:
    grow = pool_scenarios_of(registry().architecture("x86_64").select())[0]
    assert [str(step) for step in grow.steps] == ["resize(4)"]
    assert grow.data() == PoolScenarioData(grow.name, (), ("resize(4)",), huge_page=2 << 20, nodes=1)
