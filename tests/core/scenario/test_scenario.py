# SPDX-License-Identifier: GPL-2.0-only
"""The scenario: what it does on every architecture, and what it finds where a description is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hvolab.arch import LiveEntryRule, PgprotRole, Target, values
from hvolab.hvo import EngineSetup, HasOrder, Hvo
from hvolab.machine import Machine
from hvolab.plugin import registry
from hvolab.release import DEFAULT, RELEASES
from hvolab.release.faults import RESTORED_AS_HEADS
from hvolab.release.releases import V6_12_117
from hvolab.scenario import ScenarioResult, ScenarioSpec, parse_operations, run_data, run_scenario
from hvolab.trace import Warned
from hvolab_x86_64.description import X86_64
from tests.machines import GIB, MIB, x86_64

SMALL = {2 * MIB: 2}


def run(target: Target | None = None, **choice: Any) -> ScenarioResult:
    """A scenario with two 2 MiB pages."""
    return run_scenario(ScenarioSpec(target or x86_64(), memory=256 * MIB, hugepages=SMALL, **choice))


def every_target() -> list[Target]:
    return [
        architecture.select(mode.name, profile=profile)
        for architecture in registry().architectures().values()
        for mode in architecture.modes
        for profile in architecture.profiles
    ]


@pytest.mark.parametrize("target", every_target(), ids=str)
def test_every_architecture_does_as_it_declares(target: Target) -> None:
    level = target.mode.levels[-2].size
    result = run_scenario(ScenarioSpec(target, memory=max(512 * MIB, 4 * level), hugepages={level: 2}))
    assert result.as_declared
    [pool] = result.pools
    assert (pool.pages, pool.optimized, result.left) == (2, 2, (0,))
    assert result.frames_saved == pool.frames_saved == 2 * pool.sizes.saved_pages
    [stores] = result.stores
    assert (stores.faulted == stores.tried) is target.tails_fault


def every_release() -> list[Target]:
    return [
        architecture.select(release=release)
        for architecture in registry().architectures().values()
        for release in RELEASES
        if release.anywhere or release.name in architecture.releases
    ]


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("target", every_release(), ids=str)
def test_invariants_of_every_release_hold_when_an_allocation_fails(target: Target, step: int) -> None:
    level = target.mode.levels[-2].size
    spec = ScenarioSpec(target, memory=2 * max(512 * MIB, 4 * level), nodes=2, hugepages={level: 2})
    number, failed = 1, True
    while failed:
        result = run_scenario(replace(spec, fail_allocation=number))
        unknown = [finding for finding in result.findings if not (finding.declared or finding.fault)]
        assert not unknown, (number, unknown, result.warnings)
        assert result.as_declared or RESTORED_AS_HEADS in target.release.faults
        assert result.failed is not None
        failed = result.failed.happened
        number += step
    assert number > 2 * result.pools[0].sizes.saved_pages


def test_a_known_fault_of_a_release_is_not_as_declared() -> None:
    spec = ScenarioSpec(x86_64(release=V6_12_117), memory=512 * MIB, hugepages={2 * MIB: 8})
    result = run_scenario(spec)
    assert not result.as_declared
    assert {finding.fault for finding in result.findings} == {RESTORED_AS_HEADS}
    lost = result.stages[0].free_frames - result.stages[-1].free_frames - result.page_tables_allocated
    assert lost * result.spec.target.mode.page_size == 16 * MIB
    unchecked = run_scenario(replace(spec, check_pages=False))
    assert not unchecked.as_declared
    assert unchecked.stages[0].free_frames == unchecked.stages[-1].free_frames + unchecked.page_tables_allocated


def test_a_finding_that_counts_on_belongs_to_each_stage_that_adds_to_it() -> None:
    target = x86_64(release=V6_12_117)
    operations = parse_operations("optimize, dissolve 2M, shrink", target)
    spec = ScenarioSpec(target, memory=256 * MIB, hugepages={2 * MIB: 3}, operations=operations)
    result = run_scenario(spec)
    freed = [[finding for finding in stage.findings if finding.rule == "freeing"] for stage in result.stages]
    assert [len(findings) for findings in freed[:2]] == [0, 0]
    assert "28 struct pages of 1 freed folio" in freed[2][0].what
    assert "84 struct pages of 3 freed folios" in freed[3][0].what
    assert [finding for finding in result.findings if finding.rule == "freeing"] == freed[3]


def test_everything_that_was_taken_comes_back_but_the_page_tables() -> None:
    result = run()
    boot, _, restored = result.stages
    totals = [stage.counters.total for stage in result.stages if stage.counters is not None]
    assert totals[0] == totals[2] == totals[1] + result.frames_saved
    assert boot.free_frames - restored.free_frames == result.work["fill"].page_tables_allocated == 1


def test_the_work_is_that_of_one_batch_each_way() -> None:
    fill, drain = run().work.values()
    assert (fill.entries_stored, fill.page_tables_allocated, fill.full_flushes, fill.grace_periods) == (16, 1, 2, 1)
    assert (fill.frames_allocated, fill.frames_freed, fill.pages_copied) == (3, 16, 2)
    assert (drain.entries_stored, drain.frames_allocated, drain.pages_copied, drain.full_flushes) == (14, 14, 14, 1)


def test_pages_on_several_nodes_are_spread() -> None:
    result = run_scenario(ScenarioSpec(x86_64(), memory=GIB, nodes=2, hugepages={2 * MIB: 4}))
    assert result.as_declared
    assert result.pools[0].per_node == (2, 2)
    assert result.pools[0].optimized == 4


def test_with_hvo_out_of_memory_for_the_head_the_old_head_stays() -> None:
    [history] = run_scenario(ScenarioSpec(x86_64(), memory=256 * MIB, hugepages={2 * MIB: 1}, fail_allocation=3)).folios
    assert history.after.frame(0) == history.before.frame(0)
    assert history.freed == ((history.before.frame(1), history.before.frame(7)),)


def test_a_page_that_cannot_be_split_stays_as_it_was() -> None:
    result = run_scenario(ScenarioSpec(x86_64(), memory=256 * MIB, hugepages={2 * MIB: 1}, fail_allocation=2))
    assert result.as_declared
    assert result.failed is not None
    assert result.failed.happened


def test_a_restore_that_fails_once_is_tried_again() -> None:
    result = run(fail_allocation=8)
    assert result.failed is not None
    assert result.failed.phase == "drain"
    assert result.left == (0,)
    assert result.as_declared


def test_a_store_that_lands_against_the_description_is_no_declared_finding() -> None:
    traits = replace(X86_64.traits, flush_all_effective=False)
    result = run(replace(X86_64, traits=traits).select())
    assert not result.as_declared
    undeclared = {finding.rule for finding in result.findings if not finding.declared}
    assert "stores" in undeclared


def test_a_store_that_lands_as_declared_is_put_back() -> None:
    kernel = values("P", "RW", "A", "D", "G", "NX")
    writable = tuple(
        replace(pgprot, fields=kernel) if pgprot.role is PgprotRole.KERNEL_RO else pgprot for pgprot in X86_64.pgprots
    )
    traits = replace(X86_64.traits, live_entries=LiveEntryRule.BREAK_BEFORE_MAKE)
    result = run(replace(X86_64, pgprots=writable, traits=traits).select())
    assert result.as_declared
    assert {finding.rule for finding in result.findings} == {"stores", "live_entries"}
    assert result.stores[0].at_head
    # those of a history and of stores are findings of a stage as well: nothing holds there
    rules = [{finding.rule for finding in stage.findings} for stage in result.stages]
    assert rules == [set(), {"stores", "live_entries"}, {"live_entries"}]


def test_what_the_engine_warns_of_is_listed_once_and_is_not_as_declared() -> None:
    class Worried(Hvo):
        def optimize_folio(self, h: HasOrder, folio: int) -> None:
            self.machine.trace.emit(Warned("something is amiss", folio))
            super().optimize_folio(h, folio)

        def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
            self.machine.trace.emit(Warned("something is amiss", folio_list))
            self.machine.trace.emit(Warned("and something else", folio_list))
            super().optimize_folios(h, folio_list)
            self.machine.trace.emit(Warned("something is amiss", folio_list))

    result = run(engine=EngineSetup(Worried))
    assert result.findings == {}
    assert result.warnings == ("something is amiss (2 times)", "and something else")
    assert run_data(result).warnings == result.warnings
    assert not result.as_declared
    assert run().warnings == ()


def test_the_machine_has_the_struct_page_layout_that_the_engine_needs() -> None:
    layout = replace(DEFAULT.struct_page, pg_reserved=12, node_bits=2, node_shift=62)
    machines: list[Machine] = []

    def make(machine: Machine) -> Hvo:
        machines.append(machine)
        return Hvo(machine)

    result = run(engine=EngineSetup(make, layout=layout, notes=("a reason",)))
    assert [machine.struct_pages.layout for machine in machines] == [layout]
    assert result.as_declared
    assert run_data(result).notes == ("a reason",)
    assert run_data(run()).notes == ()


def test_progress_names_each_operation_before_it() -> None:
    steps: list[str] = []
    spec = ScenarioSpec(x86_64(), memory=256 * MIB, hugepages={2 * MIB: 1})
    result = run_scenario(spec, on_step=steps.append)
    assert steps == [str(stage.operation) for stage in result.stages[1:]]
