# SPDX-License-Identifier: GPL-2.0-only
"""Kernels with another variant of HVO than v6.12's agree with the engine in that variant."""

from __future__ import annotations

import pytest

from hvolab.release import KernelFeature
from hvolab_kernel.comparison import Comparer, Scenario, compare, scenarios_of, target_of
from hvolab_kernel.comparison.comparer import ComparisonCase
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.selection import comparable
from hvolab_kernel.identify.features import features_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import OTHER_VARIANTS

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@pytest.mark.long
@OTHER_VARIANTS
def test_the_engine_of_the_release_agrees(real_kernel: Kernel) -> None:
    assert disagreements(real_kernel, None) == {}


@pytest.mark.long
@pytest.mark.parametrize(
    ("real_kernel", "mode"),
    [("x86_64-6.1", "5-level"), ("x86_64-7.x", "5-level"), ("riscv64-7.x", "Sv39"), ("riscv64-7.x", "Sv57")],
    indirect=["real_kernel"],
)
def test_it_agrees_in_other_modes(real_kernel: Kernel, mode: str) -> None:
    assert disagreements(real_kernel, mode) == {}


def disagreements(kernel: Kernel, mode: str | None) -> dict[ComparisonCase[Scenario], tuple[StateDifference, ...]]:
    """Return the disagreements of kernel and engine, in the kernel's variant, without gigantic folios."""
    features = features_of(kernel)
    target = target_of(kernel, mode)
    comparer = Comparer(target, kernel)
    chosen = [one for one in scenarios_of(target) if not one.gigantic]
    result = compare(comparer, comparable(chosen, target.release.variant, batches=features.has(KernelFeature.BATCHES)))
    assert result.cases > (700 if features.has(KernelFeature.BATCHES) else 130)
    return result.disagreements
