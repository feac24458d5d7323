# SPDX-License-Identifier: GPL-2.0-only
"""The main job in every release on every architecture, also with each allocation failing in turn."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hvolab.arch import Target
from hvolab.plugin import registry
from hvolab.release import RELEASES
from hvolab.scenario import ScenarioResult, ScenarioSpec, run_scenario
from tests.machines import GIB, MIB
from tests.samples import one_in

#: x86_64, arm64 and riscv, in each release that they offer.
TARGETS = [
    registry().architecture(name).select(release=release)
    for name in ("x86_64", "arm64", "riscv")
    for release in RELEASES
    if release in registry().architecture(name).offered
]


def _name(target: Target) -> str:
    return f"{target.architecture.name}-{target.release}"


EACH = pytest.mark.parametrize("target", TARGETS, ids=_name)
_NEVER = 1 << 40


def run(
    target: Target, hugepages: Mapping[int, int], *, memory: int = 128 * MIB, nodes: int = 1, fail: int | None = None
) -> ScenarioResult:
    return run_scenario(ScenarioSpec(target, memory=memory, nodes=nodes, hugepages=hugepages, fail_allocation=fail))


def calls_of(target: Target, hugepages: Mapping[int, int], memory: int, nodes: int) -> int:
    """Return the number of allocation calls where none fails."""
    failed = run(target, hugepages, memory=memory, nodes=nodes, fail=_NEVER).failed
    assert failed is not None
    assert not failed.happened
    return failed.calls


def undeclared(result: ScenarioResult) -> list[str]:
    unknown = [str(finding) for finding in result.findings if not (finding.declared or finding.fault)]
    return unknown + list(result.warnings)


def test_every_release_is_offered() -> None:
    assert len(TARGETS) == 3 * (len(RELEASES) - 1) + 1


@pytest.mark.slow
@EACH
def test_the_main_job_ends_as_declared_under_each_failing_allocation(target: Target) -> None:
    pages, memory = {2 * MIB: 1}, 128 * MIB
    for fail in range(1, calls_of(target, pages, memory, 1) + 1):
        result = run(target, pages, memory=memory, fail=fail)
        assert undeclared(result) == [], fail
        assert result.failed is not None
        assert result.failed.happened


@EACH
@pytest.mark.parametrize("nodes", [1, 2])
def test_the_main_job_optimizes_and_restores_everything(target: Target, nodes: int) -> None:
    result = run(target, {2 * MIB: 4}, memory=256 * MIB, nodes=nodes)
    assert undeclared(result) == []
    assert [stage.name for stage in result.stages] == ["boot", "optimized", "restored"]
    [pool] = result.pools
    assert (pool.pages, pool.optimized, result.left) == (4, 4, (0,))
    assert (len(pool.per_node), result.frames_saved) == (nodes, 4 * 7)


@pytest.mark.slow
@pytest.mark.parametrize("target", one_in(3, TARGETS, _name))
@pytest.mark.parametrize(("nodes", "pages"), [(1, 3), (2, 3)])
def test_batches_on_one_or_two_nodes_under_each_failing_allocation(target: Target, nodes: int, pages: int) -> None:
    hugepages, memory = {2 * MIB: pages}, nodes * 128 * MIB
    for fail in range(1, calls_of(target, hugepages, memory, nodes) + 1):
        assert undeclared(run(target, hugepages, memory=memory, nodes=nodes, fail=fail)) == [], fail


@pytest.mark.long
@EACH
def test_the_default_pools_under_some_failing_allocations(target: Target) -> None:
    """Pages of 2 MiB and 1 GiB need 4,000 allocations: the first ones fail, and some of the rest."""
    calls = calls_of(target, {}, 4 * GIB, 1)
    for fail in sorted({*range(1, 26), *range(26, calls, calls // 6), calls}):
        assert undeclared(run(target, {}, memory=4 * GIB, fail=fail)) == [], fail
