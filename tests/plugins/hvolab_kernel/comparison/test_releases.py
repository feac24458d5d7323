"""Kernels of other releases: what they do otherwise than v6.12 is laid to a feature; in their variant all agrees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab.machine import MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_kernel import make_engine
from hvolab_kernel.comparison import Comparer, compare, scenarios_of, target_of
from hvolab_kernel.comparison.causes import CAUSES, Seen
from hvolab_kernel.comparison.comparer import comparable
from hvolab_kernel.comparison.releases import ReleaseComparison, compare_release, runnable
from hvolab_kernel.comparison.selection import chosen_scenarios, target_of_release
from hvolab_kernel.identify.features import features_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import hvolab, image_of

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

#: Where causes are looked up.
WHERE = "hvolab_kernel.comparison.releases.CAUSES"
OTHERS = ["x86_64-6.1", "x86_64-7.x", "riscv64-7.x"]
EACH = pytest.mark.parametrize("real_kernel", OTHERS, indirect=True)
X86_6_1 = pytest.mark.parametrize("real_kernel", ["x86_64-6.1"], indirect=True)
#: For each image, differences that must be there, with the feature that makes them: kind, what, kernel.
KNOWN = {
    "x86_64-6.1": {
        ("mapping", "head's frame", "as before"): "head moves to a new frame",
        ("mapping", "tails' flags", "pte 0x8000000000000161 P|A|D|G|NX"): "optimizes head pages, one by one",
        ("call in optimize", "rcu", "not called"): "waits for RCU",
        ("counter", "nr_memmap_pages", "-1"): "memmap counters",
        ("call in optimize", "flush range", "7 pages are flushed"): "head moves to a new frame",
        ("result", "optimize", "hugetlb_vmemmap_optimize ran into a BUG()"): "optimizes head pages, one by one",
    },
    "x86_64-7.x": {
        ("mapping", "tails' frame", "one that is not the head's"): "tails share one page per zone and order",
        ("call in optimize", "key", "not called"): "static key",
        ("call in optimize", "rcu", "not called"): "waits for RCU",
        ("call in restore", "flush range", "7 pages are flushed"): "walk names head and tail page",
        ("call in optimize_list", "flush all", "not called"): "batches of boot folios",
    },
}
KNOWN["riscv64-7.x"] = KNOWN["x86_64-7.x"]


@pytest.mark.slow
@EACH
def test_every_difference_is_laid_to_a_feature_of_the_release(
    real_kernel: Kernel, request: pytest.FixtureRequest
) -> None:
    target = target_of(real_kernel)
    result = compare_release(target, real_kernel, scenarios_of(target))
    assert [one.as_dict() for one in result.differences if not one.feature] == []
    assert len(result.scenarios) > 70
    found = {(one.seen.kind, one.seen.what, one.seen.kernel): one.feature for one in result.differences}
    known = KNOWN[request.node.callspec.params["real_kernel"]]
    assert {key: found.get(key) for key in known} == known


@pytest.mark.slow
@pytest.mark.parametrize("real_kernel", ["x86_64-6.12"], indirect=True)
def test_a_kernel_of_the_engines_release_has_no_difference_but_its_variant(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    result = compare_release(target, real_kernel, chosen_scenarios(target, ["2M boot: optimize", "2M boot: restore"]))
    features = {one.feature for one in result.differences}
    assert features <= {"walk names head and tail page", ""}
    # restored tails are whole copies here, which is no difference of release
    assert {one.seen.kind for one in result.differences if not one.feature} <= {"struct pages"}


@X86_6_1
def test_without_a_cause_a_difference_is_not_explained(real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    causes = tuple(one for one in CAUSES if one.feature != "waits for RCU")
    monkeypatch.setattr(WHERE, causes)
    target = target_of(real_kernel)
    result = compare_release(target, real_kernel, chosen_scenarios(target, ["1M boot: optimize twice"]))
    (one,) = (one for one in result.differences if not one.feature)
    assert one.seen == Seen("call in optimize", "rcu", "not called", "synchronize_rcu()")
    assert result.unexplained == result.differences[one] == 1


@EACH
def test_the_command_names_the_release_and_its_differences(real_kernel: Kernel) -> None:
    data = json.loads(hvolab("kernel", image_of(real_kernel), "--scenario", "1M boot: optimize", "--json").stdout)
    assert (data["hvo"], data["variant"]) in {("6.1", "6.1"), ("7.x", "7.2")}
    assert data["disagreements"] == []
    other = data["beside_v6_12"]
    assert other["release"] == data["hvo"]
    assert all(one.startswith(("it has “", "it lacks “")) for one in other["because"])
    assert other["unexplained"] == []
    assert {"kind", "what", "kernel", "engine", "feature", "because", "count", "first_in"} == set(
        other["differences"][0]
    )


@X86_6_1
def test_a_report_for_people_ends_with_what_is_not_of_the_release(
    real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = hvolab("kernel", image_of(real_kernel), "--scenario", "1M boot: optimize")
    assert done.exit_code == 0
    assert "it has HVO as in 6.1; beside the engine as v6.12" in done.stdout
    assert "waits for RCU: no grace period is waited for" in done.stdout
    assert ", 0 of them not of its release, in " in done.stdout
    assert "beside the engine as 6.1" in done.stdout
    assert "No disagreement in 3 cases of 2 scenarios" in done.stdout
    monkeypatch.setattr(WHERE, ())
    done = hvolab("kernel", image_of(real_kernel), "--scenario", "1M boot: optimize")
    assert done.exit_code == 1
    assert "not explained" in done.stdout


@X86_6_1
def test_what_a_kernel_cannot_be_asked_for_is_no_agreement(real_kernel: Kernel) -> None:
    done = hvolab("kernel", image_of(real_kernel), "--scenario", "1M boot: optimize twice")
    assert done.exit_code == 0
    assert "Nothing was compared: this kernel cannot be asked for these scenarios" in done.stdout


@X86_6_1
def test_lists_are_left_out_where_a_kernel_takes_none_and_run_refuses_it(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    assert not [one for one in runnable(scenarios_of(target), batches=False) if "batch" in one.name]
    assert [one for one in runnable(scenarios_of(target), batches=True) if "batch" in one.name]
    machine = build_machine(registry().architecture("x86_64").select(), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match="pools and invariants do not model"):
        make_engine(machine, Path(image_of(real_kernel)))


@pytest.mark.slow
@EACH
def test_the_engine_in_the_variant_of_the_release_agrees(real_kernel: Kernel) -> None:
    assert disagreements(real_kernel, None) == []


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("real_kernel", "mode"),
    [("x86_64-6.1", "5-level"), ("x86_64-7.x", "5-level"), ("riscv64-7.x", "Sv39"), ("riscv64-7.x", "Sv57")],
    indirect=["real_kernel"],
)
def test_it_agrees_in_other_modes(real_kernel: Kernel, mode: str) -> None:
    assert disagreements(real_kernel, mode) == []


def disagreements(kernel: Kernel, mode: str | None) -> list[object]:
    """Where kernel and engine, in the kernel's variant, do not do the same; gigantic folios are left out."""
    features = features_of(kernel)
    target = target_of_release(target_of(kernel, mode), features.release)
    comparer = Comparer(target, kernel)
    chosen = [one for one in scenarios_of(target) if not one.gigantic]
    result = compare(comparer, comparable(chosen, comparer.variant, batches=features.has("batches")))
    assert result.cases > (700 if features.has("batches") else 130)
    return [one.as_dict() for one in result.disagreements]


def test_nothing_compared_is_nothing_unexplained() -> None:
    assert ReleaseComparison().unexplained == 0
