"""Carries out the comparison that is asked for on the command line, and shows what it finds."""

from __future__ import annotations

from collections.abc import Sequence

from hvolab.arch import Target
from hvolab.cli.output import console, print_json, show
from hvolab_kernel.comparison.comparer import Comparer, ComparisonCase, comparable, compare
from hvolab_kernel.comparison.releases import compare_release
from hvolab_kernel.comparison.report import (
    Progress,
    comparison_data,
    comparison_view,
    other_release_data,
    other_release_view,
    scenarios_data,
    scenarios_view,
)
from hvolab_kernel.comparison.scenarios import Scenario
from hvolab_kernel.comparison.selection import target_of_release
from hvolab_kernel.identify.features import BASELINE, features_of
from hvolab_vmlinux.kernel import Kernel


def show_scenarios(chosen: Sequence[Scenario], *, json: bool) -> None:
    """Print the scenarios, and run none."""
    if json:
        print_json(scenarios_data(chosen))
    else:
        show(scenarios_view(chosen))


def show_comparison(kernel: Kernel, target: Target, chosen: Sequence[Scenario], *, every: bool, json: bool) -> bool:
    """Compare the kernel with the engine in its variant, and print the report; whether all is as it should be.

    every  make each allocation fail, however many there are

    One of another release than 6.12 is first run beside the engine as v6.12, to show what it does otherwise.
    """
    features = features_of(kernel)
    comparer = Comparer(target_of_release(target, features.release), kernel)
    other = None
    if features.release != BASELINE:
        with Progress(console(error=True), len(chosen)) as progress:
            other = compare_release(target, kernel, chosen, lambda one: progress(ComparisonCase(one)))
    wanted = comparable(chosen, comparer.variant, batches=features.has("batches"))
    with Progress(console(error=True), len(wanted)) as progress:
        result = compare(comparer, wanted, every=every, told=progress)
    if json:
        data = comparison_data(kernel, comparer.target, comparer.variant, result)
        print_json(data if other is None else data | {"beside_v6_12": other_release_data(features, other)})
    else:
        if other is not None:
            show(other_release_view(kernel, features, other))
        show(comparison_view(kernel, comparer.target, comparer.variant, result))
    return not result.disagreements and (other is None or not other.unexplained)
