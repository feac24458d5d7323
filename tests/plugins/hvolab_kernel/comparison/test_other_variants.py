# SPDX-License-Identifier: GPL-2.0-only
"""Kernels with another variant of HVO than v6.12's agree with the engine in that variant."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab.machine import MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_kernel import make_engine
from hvolab_kernel.comparison import Comparer, compare, scenarios_of, target_of
from hvolab_kernel.comparison.comparer import ComparisonCase
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.selection import (
    comparable,
    target_of_release,
)
from hvolab_kernel.identify.features import features_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import image_of
from tests.plugins.hvolab_kernel.kernel_machines import OTHER_VARIANTS, X86_6_1

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@X86_6_1
def test_pools_refuse_a_kernel_of_another_release(real_kernel: Kernel) -> None:
    machine = build_machine(registry().architecture("x86_64").select(), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match="pools and invariants do not model"):
        make_engine(machine, Path(image_of(real_kernel)))


@pytest.mark.slow
@OTHER_VARIANTS
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
