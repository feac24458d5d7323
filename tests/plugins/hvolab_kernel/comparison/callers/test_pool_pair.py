# SPDX-License-Identifier: GPL-2.0-only
"""hvolab's pools held against the kernel's own, under every failing allocation."""

from __future__ import annotations

import pytest

from hvolab.hugetlb.folio import FolioPages
from hvolab.release.faults import FORGOTTEN, FREED_AS_BLOCK, RESTORED_AS_HEADS, TEMPORARY_AS_SURPLUS
from hvolab_kernel.comparison import compare, target_of
from hvolab_kernel.comparison.callers import PoolComparer, PoolOperation, PoolScenario, PoolStep, pool_scenarios_of
from hvolab_kernel.comparison.comparer import ComparisonCase
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import (
    DEBIANS,
    FETCHED,
    LATEST_6_12,
    OTHER_VARIANTS,
    PARTS,
    SHARING,
    X86,
    X86_MEMORY_FAILURE,
    X86_OTHERS,
)
from tests.samples import share

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


def scenario(kernel: Kernel, title: str) -> PoolScenario:
    return next(one for one in pool_scenarios_of(target_of(kernel)) if one.name == title)


@pytest.mark.slow
@SHARING
def test_both_pools_agree_when_each_allocation_fails(real_kernel: Kernel, part: int) -> None:
    target = target_of(real_kernel)
    comparer = PoolComparer(target, real_kernel)
    chosen = share([one for one in pool_scenarios_of(target) if one.nodes == 2], part, PARTS)
    for each in comparer.functions.runnable(chosen):
        result = comparer.run(ComparisonCase(each))
        assert result.differences == (), each.name
        for number in range(1, result.allocations + 1):
            case = ComparisonCase(each, (number,))
            assert comparer.run(case).differences == (), str(case)


@pytest.mark.long
@FETCHED
def test_both_pools_agree_in_every_pair_of_failures(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    comparer = PoolComparer(target, real_kernel)
    result = compare(comparer, comparer.functions.runnable(pool_scenarios_of(target)))
    assert result.disagreements == {}
    assert result.cases > 2000
    assert [finding for finding in result.findings if not (finding.declared or finding.fault)] == []
    assert {finding.fault for finding in result.findings} >= {TEMPORARY_AS_SURPLUS}
    assert (RESTORED_AS_HEADS in target.release.faults) is any(
        finding.fault == RESTORED_AS_HEADS for finding in result.findings
    )


@pytest.mark.slow
@FETCHED
def test_a_gigantic_folio_that_is_not_optimized_is_demoted_alike(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    comparer = PoolComparer(target, real_kernel)
    demote = scenario(real_kernel, "1G pool: demote, not optimized")
    assert comparer.run(ComparisonCase(demote)).differences == ()
    assert [sum(map(len, pool.free_folios())) for pool in comparer.pair(demote).kernel_pools][-2:] == [512, 0]


@pytest.mark.slow
@DEBIANS
def test_parts_of_a_demoted_folio_have_the_flags_of_their_first_struct_page_alike(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    if not target.release.variant.copies_mapped:
        pytest.skip(f"this kernel resets the struct pages that it restores; 6.12.117 does not: {LATEST_6_12}")
    comparer = PoolComparer(target, real_kernel)
    demote = scenario(real_kernel, "1G pool: demote")
    assert comparer.run(ComparisonCase(demote)).differences == ()
    # HVO takes 511 of 512 for optimized
    assert [one.machine.key for one in comparer.pair(demote).machines] == [2, 2]
    pool = comparer.pair(demote).kernel_pools[-2]
    pages = FolioPages(pool.machine.machine, pool.machine.machine.cpus[0])
    bit = pages.layout.hpg_vmemmap_optimized
    assert sum(pages.flag(folio, bit) for folios in pool.free_folios() for folio in folios) == 512


@pytest.mark.slow
@FETCHED
def test_growing_and_shrinking_agree_and_only_known_faults_are_found(real_kernel: Kernel) -> None:
    comparer = PoolComparer(target_of(real_kernel), real_kernel)
    result = comparer.run(ComparisonCase(scenario(real_kernel, "2M pool: shrink, and grow again")))
    assert result.differences == ()
    found = {one.fault for one in result.evidence.found}
    assert found == ({RESTORED_AS_HEADS} if RESTORED_AS_HEADS in comparer.target.release.faults else set())
    assert bool(result.evidence.bad) is bool(found)


@pytest.mark.slow
@X86
def test_a_changed_counter_list_or_step_is_a_difference(real_kernel: Kernel) -> None:
    comparer = PoolComparer(target_of(real_kernel), real_kernel)
    grow = scenario(real_kernel, "2M pool: grow")
    pair = comparer.pair(grow)
    pair.begin(grow)
    pair.kernel.run(PoolStep(PoolOperation.RESIZE, 2))
    pair.engine.run(PoolStep(PoolOperation.RESIZE, 1))
    found = {one.what: (one.kernel, one.engine) for one in pair.differences()}
    assert found["nr of the hstate of order 9"] == found["free, node 0 of the hstate of order 9"] == ("2", "1")
    kernel, engine = found["free list of node 0 of the hstate of order 9"]
    assert kernel.split(", ")[0] == engine
    assert found["static key"] == ("2", "1")
    assert comparer.run(ComparisonCase(grow)).differences == ()


@pytest.mark.slow
@X86
def test_a_scenario_shows_what_its_steps_do(real_kernel: Kernel) -> None:
    comparer = PoolComparer(target_of(real_kernel), real_kernel)
    result = comparer.run(ComparisonCase(scenario(real_kernel, "2M pool: shrink")))
    lost = 3 if comparer.target.release.variant.copies_mapped else 0  # folios that the page allocator refuses
    assert (result.allocations, result.calls) == (3 * 7, 32 - lost)


@pytest.mark.slow
@X86_OTHERS
def test_the_kernel_s_own_code_frees_a_poisoned_page_in_its_block(real_kernel: Kernel) -> None:
    comparer = PoolComparer(target_of(real_kernel), real_kernel)
    result = comparer.run(ComparisonCase(scenario(real_kernel, "2M pool: poison in use, freed")))
    assert result.differences == ()
    assert {found.fault for found in result.evidence.found} == {FREED_AS_BLOCK}


@pytest.mark.slow
@X86_OTHERS
def test_the_kernel_s_own_code_forgets_a_poisoned_page_that_is_not_recorded(real_kernel: Kernel) -> None:
    comparer = PoolComparer(target_of(real_kernel), real_kernel)
    case = ComparisonCase(scenario(real_kernel, "2M pool: poison, unrecorded"), (1,))
    result = comparer.run(case)
    assert result.differences == ()
    assert {found.fault for found in result.evidence.found} == {FORGOTTEN}


@pytest.mark.slow
@X86_MEMORY_FAILURE
def test_a_poisoned_folio_is_dissolved_or_stays_in_the_pool_as_in_the_kernel(real_kernel: Kernel) -> None:
    comparer = PoolComparer(target_of(real_kernel), real_kernel)
    for title in ("poison", "poison, unrecorded", "poison in use, unrecorded"):
        each = scenario(real_kernel, f"2M pool: {title}")
        result = comparer.run(ComparisonCase(each))
        assert result.calls or title != "poison"
        for failing in ((), *((number,) for number in range(1, result.allocations + 1))):
            assert comparer.run(ComparisonCase(each, failing)).differences == (), (title, failing)


@pytest.mark.slow
@OTHER_VARIANTS
def test_a_temporary_folio_leaves_surplus_in_the_kernel_too(real_kernel: Kernel) -> None:
    comparer = PoolComparer(target_of(real_kernel), real_kernel)
    result = comparer.run(ComparisonCase(scenario(real_kernel, "2M pool: temporary, freed after all")))
    assert result.differences == ()
    faults = {found.fault for found in result.evidence.found if not found.declared}
    assert faults == {TEMPORARY_AS_SURPLUS}
