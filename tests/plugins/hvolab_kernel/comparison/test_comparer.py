"""A kernel's own code and the engine do the same, down to every byte; and where they do not, that is told."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.hvo import V6_12, V6_12_117
from hvolab.machine import VmemmapBacking
from hvolab.plugin import registry
from hvolab.units import format_short
from hvolab_kernel.comparison import Comparer, Operation, Scenario, ScenarioStep, compare, scenarios_of, target_of
from hvolab_kernel.comparison.calls import in_words
from hvolab_kernel.comparison.comparer import ComparisonCase, cases_of
from hvolab_kernel.comparison.scenarios import FolioPlacement
from hvolab_kernel.comparison.selection import chosen_scenarios
from hvolab_kernel.identify.features import features_of
from hvolab_kernel.identify.variants import variant_of
from hvolab_kernel.running.initial_state import modes_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import hvolab, image_of

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

MODES = [("x86_64-6.12", "4-level"), ("x86_64-6.12", "5-level")] + [
    ("riscv64-6.12", mode) for mode in ("Sv39", "Sv48", "Sv57")
]
#: An arm64 image runs in the one mode that it is built for.
MODES += [
    ("arm64-6.12-hvo", "4K-48bit"),
    ("arm64-6.12-hvo-plain", "4K-48bit"),
    ("arm64-6.12.107-hvo", "4K-48bit"),
    ("arm64-6.12-hvo-16K", "16K-48bit"),
    ("arm64-6.12-hvo-64K", "64K-48bit"),
]
EACH_MODE = pytest.mark.parametrize(("real_kernel", "mode"), MODES, indirect=["real_kernel"])
X86 = pytest.mark.parametrize("real_kernel", ["x86_64-6.12"], indirect=True)
#: Stories of a leaf's huge page that between them take every path of HVO's code, and a few seconds.
QUICK = ("boot: optimize", "buddy: batch", "buddy: restore beside", "self-hosted")
#: The same is tried with a huge page of so many leaves.
CONTIGUOUS = 16
FOLIOS = (FolioPlacement(), FolioPlacement(0, 1), FolioPlacement(0, 2), FolioPlacement(1), FolioPlacement(2, 5))


def test_every_scenario_has_a_name_of_its_own_and_names_folios_that_it_has() -> None:
    targets = [registry().architecture(name).select() for name in ("x86_64", "riscv", "arm64")]
    for target in (*targets, *(registry().architecture("arm64").select(mode) for mode in ("16K-48bit", "64K-48bit"))):
        scenarios = scenarios_of(target)
        assert len({one.name for one in scenarios}) == len(scenarios)
        assert any("batch" in one.name for one in scenarios)
        for one in scenarios:
            assert all(at < len(one.places) for step in (*one.prelude, *one.steps) for at in step.folios)


def test_allocations_fail_one_by_one_from_each_on_and_in_pairs() -> None:
    scenario = scenarios_of(registry().architecture("x86_64").select())[0]
    few = list(cases_of(scenario, 3, every=False))
    assert [case.failing for case in few] == [(1,), (1,), (2,), (2,), (3,), (3,)] + [
        (first, second) for first in range(1, 5) for second in range(first + 1, 5)
    ]
    many = list(cases_of(scenario, 4095, every=False))
    assert {case.failing for case in many} == {(1,), (2,), (2047,), (4094,), (4095,)}
    assert len({case.failing for case in cases_of(scenario, 4095, every=True)}) == 4095


@X86
def test_cases_that_are_left_out_make_the_calls_of_the_one_that_they_are_like(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    comparer = Comparer(target, real_kernel)
    chosen = chosen_scenarios(target, ["2M buddy: optimize", "2M buddy: restore", "2M buddy: batch below one PMD"])
    for scenario in chosen:
        run: set[ComparisonCase] = set()
        result = compare(comparer, [scenario], told=run.add)
        assert result.cases == len(run)
        allocations = comparer.run(ComparisonCase(scenario))[1]
        left_out = [case for case in cases_of(scenario, allocations, every=False) if case not in run]
        assert result.alike == len(left_out)
        for case in left_out:
            assert comparer.run(case) == comparer.run(ComparisonCase(scenario, case.failing[:1]))
    assert any(case.onwards for case in run)  # a batch asks again once it has no page for a table


def quick(target: Target) -> list[Scenario]:
    """The quick stories, and optimizing a larger page: those of them that a mode has."""
    leaf = target.mode.levels[-2].size
    wanted = (*(f"{format_short(leaf)} {story}" for story in QUICK), f"{format_short(CONTIGUOUS * leaf)} {QUICK[0]}")
    return [one for one in scenarios_of(target) if one.name.startswith(wanted)]


@pytest.mark.slow
@EACH_MODE
def test_the_kernel_and_the_engine_agree(real_kernel: Kernel, mode: str) -> None:
    target = target_of(real_kernel)
    assert mode in {one.name for one in modes_of(real_kernel, target.architecture.modes)}
    target = target_of(real_kernel, mode)
    result = compare(Comparer(target, real_kernel), quick(target))
    assert result.cases + result.alike > 100
    assert result.pairs >= 20
    assert [one.as_dict() for one in result.disagreements] == []


@pytest.mark.long
@pytest.mark.slow
@EACH_MODE
def test_the_kernel_and_the_engine_agree_in_every_scenario(real_kernel: Kernel, mode: str) -> None:
    target = target_of(real_kernel, mode)
    result = compare(Comparer(target, real_kernel), [one for one in scenarios_of(target) if not one.gigantic])
    assert result.pairs > 50
    assert [one.as_dict() for one in result.disagreements] == []


@pytest.mark.slow
def test_an_image_that_the_caller_gives_agrees(given_kernel: Kernel) -> None:
    features = features_of(given_kernel)
    if features.release != "6.12":
        pytest.skip(f"{given_kernel.image.release}: {features.summary}")
    target = target_of(given_kernel)
    result = compare(Comparer(target, given_kernel), quick(target))
    assert [one.as_dict() for one in result.disagreements] == []


@pytest.mark.parametrize("real_kernel", ["arm64-6.12-hvo-64K"], indirect=True)
def test_an_arm64_kernel_runs_in_no_mode_but_its_own(real_kernel: Kernel) -> None:
    target = target_of(real_kernel, "4K-48bit")
    with pytest.raises(UsageError, match="does not run in the mode 4K-48bit") as told:
        Comparer(target, real_kernel).run(ComparisonCase(scenarios_of(target)[0]))
    assert told.value.hint == "choose --mode 64K-48bit"


@pytest.mark.slow
@X86
def test_they_agree_on_a_folio_whose_vmemmap_is_eight_tables(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    comparer = Comparer(target, real_kernel)
    scenario = next(one for one in scenarios_of(target) if one.name == "1G boot: optimize")
    for failing in ((), (1,), (2,), (5,), (9,)):
        assert comparer.run(ComparisonCase(scenario, failing))[0] == []


@X86
def test_an_engine_of_another_variant_is_found_out_and_both_sides_are_decoded(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    comparer = Comparer(target, real_kernel)
    comparer.variant = V6_12 if comparer.variant is V6_12_117 else V6_12_117
    result = compare(comparer, chosen_scenarios(target, ["2M boot: restore a batch below one PMD"]))
    assert len(result.disagreements) > 10  # all in which something is restored
    told = [difference for one in result.disagreements for difference in one.differences]
    assert any("allocate(GFP_KERNEL" in one.kernel and "NORETRY" in one.kernel + one.engine for one in told)
    assert any(one.what.startswith("struct page of PFN") for one in told)


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
    assert comparers[digest].run(ComparisonCase(scenario, tuple(sorted(failing))))[0] == []


def test_calls_are_told_as_the_kernel_names_them() -> None:
    assert in_words(("allocate", 0xCC0, 0, 0, None)) == "allocate(GFP_KERNEL, order 0, node 0) = null"
    assert in_words(("free", "put_page_bootmem", 0, 16)) == "put_page_bootmem(PFN 0x10, order 0)"
    assert in_words(None) == "no further call"


@X86
def test_the_command_prints_a_verdict_and_json_with_stable_keys(real_kernel: Kernel) -> None:
    image = image_of(real_kernel)
    done = hvolab("kernel", image, "--scenario", "2M boot: optimize twice")
    assert done.exit_code == 0
    assert "No disagreement in 1 cases of 1 scenarios" in done.stdout
    assert "lru words" in done.stdout
    data = json.loads(hvolab("kernel", image, "--scenario", "2M boot: optimize twice", "--json").stdout)
    assert data["disagreements"] == []
    assert (data["architecture"], data["mode"], data["cases"], data["hvo"]) == ("x86_64", "4-level", 1, "6.12")


@X86
def test_a_disagreement_is_told_and_ends_in_exit_code_1(real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    other = V6_12 if variant_of(real_kernel) is V6_12_117 else V6_12_117
    monkeypatch.setattr("hvolab_kernel.comparison.comparer.variant_of", lambda _: other)
    monkeypatch.setenv("COLUMNS", "200")
    done = hvolab("kernel", image_of(real_kernel), "--scenario", "2M boot: optimize again, its PMD split")
    assert done.exit_code == 1
    for text in ("2 disagreements", "2 more were not run", "outside call 3 of optimize(0)", "__GFP_NORETRY"):
        assert text in done.stdout


@X86
def test_run_takes_the_kernels_own_engine_and_shows_what_the_model_shows(real_kernel: Kernel) -> None:
    asked = ("run", "-a", "x86_64", "--memory", "512M", "--hugepages", "2M=5", "--json")
    ours = json.loads(hvolab(*asked).stdout)
    done = hvolab(*asked, "--engine", "kernel", "--image", image_of(real_kernel))
    assert done.exit_code == 0
    theirs = json.loads(done.stdout)
    for key in ("work", "counters", "hugepages", "invariants", "findings"):
        assert theirs[key] == ours[key]


@X86
def test_requested_operations_by_the_kernels_own_engine_are_those_of_the_model(real_kernel: Kernel) -> None:
    words = ("run", "-a", "x86_64", "--memory", "512M", "--hugepages", "2M=3", "--json")
    do = ("--do", "optimize, surplus 2M 2, use 2M, dissolve 2M, resize 2M 1, free 2M 9, shrink")
    model = json.loads(hvolab(*words, *do).stdout)
    done = hvolab(*words, *do, "--engine", "kernel", "--image", image_of(real_kernel))
    assert done.exit_code == 0
    kernel = json.loads(done.stdout)
    for key in ("operations", "work", "counters", "hugepages", "invariants", "findings"):
        assert kernel[key] == model[key]


@pytest.mark.parametrize("real_kernel", ["riscv64-6.12"], indirect=True)
def test_a_kernel_that_would_look_for_a_pages_node_elsewhere_is_refused(real_kernel: Kernel) -> None:
    asked = ("run", "-a", "riscv", "--memory", "1G", "--hugepages", "2M=2", "--engine", "kernel")
    done = hvolab(*asked, "--image", image_of(real_kernel), "--nodes", "2")
    assert done.exit_code == 2
    assert "the kernel has a page's node in 2 bits of its flags from bit 62 on" in " ".join(done.stderr.split())


def test_scenarios_are_listed_and_a_name_that_none_has_is_refused() -> None:
    target = registry().architecture("x86_64").select()
    with pytest.raises(UsageError, match="no scenario's name contains 'nothing'"):
        chosen_scenarios(target, ["nothing"])
    assert len(chosen_scenarios(target, None)) == len(scenarios_of(target))
