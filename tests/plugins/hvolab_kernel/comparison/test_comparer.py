# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's own code and the engine agree in every case; and a difference is found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.machine import Machine, VmemmapBacking
from hvolab.plugin import registry
from hvolab.release import DEFAULT
from hvolab.release.faults import LOST_HEADS, RESTORED_AS_HEADS
from hvolab.release.releases import V6_12_117
from hvolab.units import format_short
from hvolab_kernel.code.instructions import function_named
from hvolab_kernel.code.stubs import Stub, StubAction
from hvolab_kernel.comparison import Comparer, Operation, Scenario, ScenarioStep, compare, scenarios_of, target_of
from hvolab_kernel.comparison.callers import PoolComparer, pool_scenarios_of
from hvolab_kernel.comparison.comparer import ComparisonCase, cases_of
from hvolab_kernel.comparison.scenarios import FolioPlacement
from hvolab_kernel.comparison.selection import chosen_scenarios
from hvolab_kernel.identify.features import features_of
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.running.handlers import HANDLERS, Handlers
from hvolab_kernel.running.initial_state import modes_of
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import X86
from tests.samples import one_in, share

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

MODES = [("x86_64-6.12", "4-level"), ("x86_64-6.12", "5-level")] + [
    ("riscv64-6.12", mode) for mode in ("Sv39", "Sv48", "Sv57")
]
#: An arm64 image runs only in the mode that it is built for.
MODES += [
    ("arm64-6.12-hvo", "4K-48bit"),
    ("arm64-6.12-hvo-plain", "4K-48bit"),
    ("arm64-6.12.107-hvo", "4K-48bit"),
    ("arm64-6.12-hvo-16K", "16K-48bit"),
    ("arm64-6.12-hvo-64K", "64K-48bit"),
]
EACH_MODE = pytest.mark.parametrize(("real_kernel", "mode"), MODES, indirect=["real_kernel"])
#: Scenarios of a leaf's huge page that together take every path of HVO's code, in a few seconds.
QUICK = ("boot: optimize", "buddy: batch", "buddy: restore next to", "self-hosted")
#: Leaves of a larger huge page that is tried as well.
CONTIGUOUS = 16
FOLIOS = (FolioPlacement(), FolioPlacement(0, 1), FolioPlacement(0, 2), FolioPlacement(1), FolioPlacement(2, 5))


def test_allocations_fail_singly_from_each_on_and_in_pairs() -> None:
    scenario = scenarios_of(registry().architecture("x86_64").select())[0]
    few = list(cases_of(scenario, 3, every=False))
    assert [case.failing for case in few] == [(1,), (1,), (2,), (2,), (3,), (3,)] + [
        (first, second) for first in range(1, 5) for second in range(first + 1, 5)
    ]
    many = list(cases_of(scenario, 4095, every=False))
    assert {case.failing for case in many} == {(1,), (2,), (2047,), (4094,), (4095,)}
    assert len({case.failing for case in cases_of(scenario, 4095, every=True)}) == 4095


def test_of_a_gigantic_folio_five_allocations_fail_in_pairs_unless_all_are_requested() -> None:
    scenario = next(one for one in scenarios_of(registry().architecture("x86_64").select()) if one.gigantic)
    pairs = {case.failing for case in cases_of(scenario, 10, every=False) if len(case.failing) == 2}
    assert pairs == {(first, second) for first in (1, 2, 5, 10, 11) for second in (1, 2, 5, 10, 11) if first < second}
    assert {case.failing for case in cases_of(scenario, 10, every=False)} > {(first,) for first in range(1, 11)}
    every = {case.failing for case in cases_of(scenario, 10, every=True) if len(case.failing) == 2}
    assert len(every) == 11 * 10 // 2
    assert {case.failing for case in cases_of(scenario, 1, every=False)} == {(1,), (1, 2)}


@X86
def test_an_interrupt_names_the_cases_that_were_compared(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    chosen = chosen_scenarios(scenarios_of(target), ["2M buddy: optimize", "2M boot: optimize"])
    seen: list[ComparisonCase[Scenario]] = []

    def interrupt(case: ComparisonCase[Scenario]) -> None:
        seen.append(case)
        if len(seen) == 3:
            raise KeyboardInterrupt

    done = f"2 cases in 1 of {len(chosen)} scenarios were compared, 0 differ"
    with pytest.raises(KeyboardInterrupt, match=done):
        compare(Comparer(target, real_kernel), chosen, on_case=interrupt)


@pytest.mark.slow
@X86
def test_skipped_cases_equal_the_case_with_the_first_failure_alone(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    comparer = Comparer(target, real_kernel)
    chosen = chosen_scenarios(
        scenarios_of(target), ["2M buddy: optimize", "2M buddy: restore", "2M buddy: batch below one PMD"]
    )
    for scenario in chosen:
        run: set[ComparisonCase[Scenario]] = set()
        result = compare(comparer, [scenario], on_case=run.add)
        assert result.cases == len(run)
        allocations = comparer.run(ComparisonCase(scenario)).allocations
        skipped = [case for case in cases_of(scenario, allocations, every=False) if case not in run]
        assert result.duplicates == len(skipped)
        for case in share(skipped, 0, 4):
            # numpy's arrays in the evidence cannot be compared as a whole
            assert repr(comparer.run(case)) == repr(comparer.run(ComparisonCase(scenario, case.failing[:1])))
    assert any(case.onwards for case in run)  # a batch retries once it has no page for a table


def quick(target: Target) -> list[Scenario]:
    """Return the quick scenarios of a mode, and optimizing a larger page."""
    leaf = target.mode.levels[-2].size
    wanted = (*(f"{format_short(leaf)} {title}" for title in QUICK), f"{format_short(CONTIGUOUS * leaf)} {QUICK[0]}")
    return [one for one in scenarios_of(target) if one.name.startswith(wanted)]


@pytest.mark.slow
@pytest.mark.parametrize(("real_kernel", "mode"), one_in(2, MODES, "-".join), indirect=["real_kernel"])
def test_the_kernel_and_the_engine_agree(real_kernel: Kernel, mode: str) -> None:
    target = target_of(real_kernel)
    assert mode in {one.name for one in modes_of(real_kernel, target.architecture.modes)}
    target = target_of(real_kernel, mode)
    result = compare(Comparer(target, real_kernel), quick(target))
    assert result.cases + result.duplicates > 100
    assert result.pairs >= 20
    assert result.disagreements == {}
    assert [finding for finding in result.findings if not (finding.declared or finding.fault)] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("real_kernel", "feature"), [("x86_64-6.12", "pti"), ("arm64-6.12-hvo", "kpti")], indirect=["real_kernel"]
)
def test_the_kernel_and_the_engine_agree_with_page_table_isolation(real_kernel: Kernel, feature: str) -> None:
    target = target_of(real_kernel, features=[feature])
    result = compare(Comparer(target, real_kernel), chosen_scenarios(scenarios_of(target), ["2M boot: optimize twice"]))
    assert (result.cases > 0, result.disagreements) == (True, {})


@pytest.mark.long
@EACH_MODE
def test_the_kernel_and_the_engine_agree_in_every_scenario(real_kernel: Kernel, mode: str) -> None:
    target = target_of(real_kernel, mode)
    result = compare(Comparer(target, real_kernel), [one for one in scenarios_of(target) if not one.gigantic])
    assert result.pairs > 50
    assert result.disagreements == {}
    assert [finding for finding in result.findings if not (finding.declared or finding.fault)] == []


@pytest.mark.slow
def test_a_given_image_agrees(given_kernel: Kernel) -> None:
    features = features_of(given_kernel)
    if features.release is None:
        pytest.skip(f"{given_kernel.image.release}: {features.summary}")
    target = target_of(given_kernel)
    result = compare(Comparer(target, given_kernel), quick(target))
    assert result.disagreements == {}


@pytest.mark.parametrize("real_kernel", ["arm64-6.12-hvo-64K"], indirect=True)
def test_an_arm64_kernel_runs_only_in_its_own_mode(real_kernel: Kernel) -> None:
    target = target_of(real_kernel, "4K-48bit")
    with pytest.raises(UsageError, match="does not run in the mode 4K-48bit") as raised:
        Comparer(target, real_kernel).run(ComparisonCase(scenarios_of(target)[0]))
    assert raised.value.hint == "choose --mode 64K-48bit"


@pytest.mark.slow
@X86
def test_they_agree_on_a_folio_whose_vmemmap_is_eight_tables(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    comparer = Comparer(target, real_kernel)
    scenario = next(one for one in scenarios_of(target) if one.name == "1G boot: optimize")
    result = compare(comparer, [])
    for failing in ((), (1,), (2,), (5,), (9,)):
        case = ComparisonCase(scenario, failing)
        result.add(case, comparer.run(case))
    assert result.disagreements == {}
    faults = {LOST_HEADS, RESTORED_AS_HEADS}
    assert {finding.fault for finding in result.findings} == faults.intersection(target.release.faults)


@pytest.mark.slow
@X86
def test_an_engine_of_another_variant_disagrees_and_both_sides_are_decoded(real_kernel: Kernel) -> None:
    target = target_of(real_kernel, release=DEFAULT if release_of(real_kernel) is not DEFAULT else V6_12_117)
    comparer = Comparer(target, real_kernel)
    result = compare(comparer, chosen_scenarios(scenarios_of(target), ["2M boot: restore a batch below one PMD"]))
    assert len(result.disagreements) > 10  # all cases that restore
    differences = [difference for found in result.disagreements.values() for difference in found]
    assert any("allocate(GFP_KERNEL" in one.kernel and "NORETRY" in one.kernel + one.engine for one in differences)
    assert any(one.what.startswith("struct page of PFN") for one in differences)


AT = st.integers(0, len(FOLIOS) - 1)
SINGLE, LISTS = [Operation.OPTIMIZE, Operation.RESTORE], [Operation.OPTIMIZE_LIST, Operation.RESTORE_LIST]
SWITCHES = [Operation.SWITCH_ON, Operation.SWITCH_OFF]
STEPS = st.one_of(
    st.builds(ScenarioStep, st.sampled_from(SINGLE), st.tuples(AT)),
    st.builds(ScenarioStep, st.sampled_from(LISTS), st.lists(AT, unique=True).map(tuple)),
    st.builds(ScenarioStep, st.sampled_from(SWITCHES), st.just(())),
)


@pytest.fixture(scope="module")
def comparers() -> dict[str, Comparer]:
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("real_kernel", ["x86_64-6.12", "riscv64-6.12", "arm64-6.12-hvo"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(STEPS, min_size=1, max_size=8),
    failing=st.sets(st.integers(1, 40), max_size=3),
    backing=st.sampled_from([VmemmapBacking.BOOT, VmemmapBacking.BUDDY]),
    flip=st.integers(0, 12),
)
def test_they_agree_on_any_sequence(
    real_kernel: Kernel,
    comparers: dict[str, Comparer],
    steps: Sequence[ScenarioStep],
    failing: set[int],
    backing: VmemmapBacking,
    flip: int,
) -> None:
    digest = real_kernel.image.digest
    if digest not in comparers:
        comparers[digest] = Comparer(target_of(real_kernel), real_kernel)
    scenario = Scenario("any", 9, backing, FOLIOS, (), tuple(steps), flip)
    assert comparers[digest].run(ComparisonCase(scenario, tuple(sorted(failing)))).differences == ()


def patch_free(kernel: Kernel, code: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let kernels that are loaded from now on free pages of vmemmap by other instructions."""
    function = function_named(kernel, "free_vmemmap_page_list")
    free = kernel.symbols.address("__free_pages")
    (place,) = (each.va - 5 for each in function.instructions if each.target == free)
    fill = LoadedKernel._fill

    def fill_and_patch(loaded: LoadedKernel, machine: Machine) -> None:
        fill(loaded, machine)
        assert loaded.read(place, 5).to_bytes(5, "little") == b"\x31\xf6\x48\x89\xdf"  # xor esi, esi; mov rdi, rbx
        loaded.replace(place, code)

    monkeypatch.setattr(LoadedKernel, "_fill", fill_and_patch)


@pytest.mark.slow
@X86
@pytest.mark.parametrize(
    ("code", "text"),
    [
        (b"\x6a\x01\x5e\x53\x5f", "with order 1 goes against its owner"),  # push 1; pop rsi; push rbx; pop rdi
        (b"\x31\xf6\x53\x5f\x90", ""),  # xor esi, esi; push rbx; pop rdi: the same as before
    ],
    ids=["part of a block", "unchanged"],
)
def test_a_free_against_the_record_of_frames_is_the_outcome_of_its_case(
    real_kernel: Kernel, code: bytes, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_free(real_kernel, code, monkeypatch)
    comparer = Comparer(target_of(real_kernel), real_kernel)
    chosen = [one for one in scenarios_of(comparer.target) if one.name in {"2M buddy: optimize", "2M buddy: restore"}]
    result = compare(comparer, chosen)
    assert set(result.per_scenario) == {one.name for one in chosen}  # the run goes on
    differing = [one for differences in result.disagreements.values() for one in differences]
    outcomes = [one.kernel for one in differing if one.what.startswith("result of ")]
    assert bool(outcomes) is bool(text)
    for outcome in outcomes:
        assert text in outcome
        assert "called the page allocator against its record of frames at __free_pages: freeing PFN 0x" in outcome
        assert "free_vmemmap_page_list+" in outcome


@X86
def test_a_double_free_is_the_outcome_of_its_case(real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    free = HANDLERS[StubAction.FREE_BOOT]

    def free_twice(handlers: Handlers, stub: Stub, page: int) -> None:
        for _ in range(2):
            free(handlers, stub, page)

    monkeypatch.setitem(HANDLERS, StubAction.FREE_BOOT, free_twice)
    target = target_of(real_kernel)
    chosen = [one for one in pool_scenarios_of(target) if one.name in {"2M pool: grow", "2M pool: surplus"}]
    comparer = PoolComparer(target, real_kernel)
    for one in chosen:
        differences = comparer.run(ComparisonCase(one)).differences
        outcome = next(each.kernel for each in differences if each.what.startswith("result of "))
        assert "called the page allocator against its record of frames" in outcome, one.name
        assert "owner FREE" in outcome
