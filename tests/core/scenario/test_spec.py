# SPDX-License-Identifier: GPL-2.0-only
"""Default pools fit their machine, and the memory that huge pages are said to need is enough."""

from __future__ import annotations

import pytest

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab.scenario import ScenarioSpec, default_hugepages, memory_needed, run_scenario
from hvolab.units import format_short
from tests.core.scenario.test_scenario import every_target
from tests.machines import GIB, MIB, x86_64


@pytest.mark.parametrize("target", every_target(), ids=str)
def test_the_default_pools_fit_four_gigabytes_and_leave_some_room(target: Target) -> None:
    chosen = default_hugepages(target, 4 * GIB)
    assert set(chosen) <= {huge.size for huge in target.mode.huge_pages}
    assert 0 < sum(size * count for size, count in chosen.items()) <= 3 * GIB
    assert chosen[target.mode.levels[-2].size] >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "mode", "nodes", "pages"),
    [
        ("x86_64", None, 1, {GIB: 1, 2 * MIB: 100}),
        ("x86_64", None, 2, {GIB: 1, 2 * MIB: 3}),
        ("x86_64", None, 3, {2 * MIB: 50}),
        ("arm64", "16K-47bit", 1, {GIB: 2, 32 * MIB: 3}),
        ("arm64", "64K-48bit", 1, {512 * MIB: 5}),
        ("arm64", "64K-48bit", 1, {16 * GIB: 1}),
    ],
)
def test_the_memory_that_is_said_to_be_needed_is_enough(
    architecture: str, mode: str | None, nodes: int, pages: dict[int, int]
) -> None:
    target = registry().architecture(architecture).select(mode)
    needed = memory_needed(target, nodes, pages)
    result = run_scenario(ScenarioSpec(target, memory=needed, nodes=nodes, hugepages=pages))
    assert {pool.huge_page.size: pool.pages for pool in result.pools} == pages


def test_pages_that_do_not_fit_are_refused_with_the_memory_that_they_need() -> None:
    with pytest.raises(UsageError) as refused:
        run_scenario(ScenarioSpec(x86_64(), memory=GIB, hugepages={GIB: 1}))
    assert f"--memory {format_short(memory_needed(x86_64(), 1, {GIB: 1}))}" in refused.value.hint
