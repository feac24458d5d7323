# SPDX-License-Identifier: GPL-2.0-only
"""Comparisons of `hvolab kernel`: a kernel's HVO, or its callers in hugetlb, with hvolab's own."""

from __future__ import annotations

from collections.abc import Sequence

from hvolab.arch import Target
from hvolab.release import KernelFeature
from hvolab_kernel.comparison import Comparer, scenarios_of
from hvolab_kernel.comparison.callers import PoolComparer, pool_scenarios_of
from hvolab_kernel.comparison.report import show_comparison, show_scenarios
from hvolab_kernel.comparison.selection import chosen_scenarios, comparable
from hvolab_kernel.identify.features import features_of
from hvolab_vmlinux.kernel import Kernel


def compare_hvo(
    kernel: Kernel, target: Target, texts: Sequence[str] | None, *, every: bool, listed: bool, json: bool
) -> bool:
    """Compare the chosen scenarios of a kernel's HVO, or list them; return False if there are differences."""
    chosen = chosen_scenarios(scenarios_of(target), texts)
    if listed:
        show_scenarios(chosen, json=json)
        return True
    batches = features_of(kernel).has(KernelFeature.BATCHES)
    scenarios = comparable(chosen, target.release.variant, batches=batches)
    return show_comparison(kernel, Comparer(target, kernel), scenarios, every=every, json=json)


def compare_callers(
    kernel: Kernel, target: Target, texts: Sequence[str] | None, *, every: bool, listed: bool, json: bool
) -> bool:
    """Compare the chosen scenarios of a kernel's pools, or list them; return False if there are differences."""
    chosen = chosen_scenarios(pool_scenarios_of(target), texts)
    if listed:
        show_scenarios(chosen, json=json)
        return True
    return show_comparison(kernel, PoolComparer(target, kernel), chosen, every=every, json=json)
