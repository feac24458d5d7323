"""Kernels of other releases: differences from v6.12 attributed to features; agreement in their variant."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab.machine import MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_kernel import make_engine
from hvolab_kernel.comparison import Comparer, compare, scenarios_of, target_of
from hvolab_kernel.comparison.causes import CAUSES, ReleaseDifference
from hvolab_kernel.comparison.comparer import ComparisonCase
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.releases import ReleaseComparison, compare_release
from hvolab_kernel.comparison.selection import (
    chosen_scenarios,
    comparable,
    target_of_release,
)
from hvolab_kernel.identify.features import features_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import image_of

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

#: Where causes are looked up.
CAUSES_IN_USE = "hvolab_kernel.comparison.releases.CAUSES"
OTHERS = ["x86_64-6.1", "x86_64-7.x", "riscv64-7.x"]
EACH = pytest.mark.parametrize("real_kernel", OTHERS, indirect=True)
X86_6_1 = pytest.mark.parametrize("real_kernel", ["x86_64-6.1"], indirect=True)
#: For each image, differences that must be found, with the feature that explains them: kind, what, kernel.
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
def test_every_difference_is_attributed_to_a_feature_of_the_release(
    real_kernel: Kernel, request: pytest.FixtureRequest
) -> None:
    target = target_of(real_kernel)
    result = compare_release(target, real_kernel, scenarios_of(target))
    assert [one for one in result.differences if not one.feature] == []
    assert len(result.scenarios) > 70
    found = {(one.kind, one.what, one.kernel): one.feature for one in result.differences}
    known = KNOWN[request.node.callspec.params["real_kernel"]]
    assert {key: found.get(key) for key in known} == known


@pytest.mark.slow
@pytest.mark.parametrize("real_kernel", ["x86_64-6.12"], indirect=True)
def test_a_kernel_of_6_12_differs_only_by_its_variant(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    result = compare_release(target, real_kernel, chosen_scenarios(target, ["2M boot: optimize", "2M boot: restore"]))
    features = {one.feature for one in result.differences}
    assert features <= {"walk names head and tail page", ""}
    # restored tails are copies of the head's page, which no feature of a release explains
    assert {one.kind for one in result.differences if not one.feature} <= {"struct pages"}


@X86_6_1
def test_without_a_cause_a_difference_is_not_explained(real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    causes = tuple(one for one in CAUSES if one.feature != "waits for RCU")
    monkeypatch.setattr(CAUSES_IN_USE, causes)
    target = target_of(real_kernel)
    result = compare_release(target, real_kernel, chosen_scenarios(target, ["1M boot: optimize twice"]))
    (one,) = (one for one in result.differences if not one.feature)
    assert one == ReleaseDifference("call in optimize", "rcu", "not called", "synchronize_rcu()")
    assert result.unexplained == result.differences[one] == 1


@X86_6_1
def test_pools_refuse_a_kernel_of_another_release(real_kernel: Kernel) -> None:
    machine = build_machine(registry().architecture("x86_64").select(), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match="pools and invariants do not model"):
        make_engine(machine, Path(image_of(real_kernel)))


@pytest.mark.slow
@EACH
def test_the_engine_in_the_variant_of_the_release_agrees(real_kernel: Kernel) -> None:
    assert disagreements(real_kernel, None) == {}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("real_kernel", "mode"),
    [("x86_64-6.1", "5-level"), ("x86_64-7.x", "5-level"), ("riscv64-7.x", "Sv39"), ("riscv64-7.x", "Sv57")],
    indirect=["real_kernel"],
)
def test_it_agrees_in_other_modes(real_kernel: Kernel, mode: str) -> None:
    assert disagreements(real_kernel, mode) == {}


def disagreements(kernel: Kernel, mode: str | None) -> dict[ComparisonCase, tuple[StateDifference, ...]]:
    """Return the disagreements of kernel and engine, in the kernel's variant, without gigantic folios."""
    features = features_of(kernel)
    target = target_of_release(target_of(kernel, mode), features.release)
    comparer = Comparer(target, kernel)
    chosen = [one for one in scenarios_of(target) if not one.gigantic]
    result = compare(comparer, comparable(chosen, comparer.variant, batches=features.has("batches")))
    assert result.cases > (700 if features.has("batches") else 130)
    return result.disagreements


def test_nothing_compared_is_nothing_unexplained() -> None:
    assert ReleaseComparison().unexplained == 0
