"""Carries out the comparison that is asked for on the command line, and shows what it finds."""

from __future__ import annotations

from collections.abc import Sequence

from hvolab.arch import Target
from hvolab.cli.output import console, print_json, show
from hvolab_kernel.features import features_of
from hvolab_kernel.forms import MODELLED
from hvolab_kernel.kernel import Kernel

from .comparing import Case, Comparer, compare
from .generations import compare_generation
from .report import (
    Progress,
    comparison_data,
    comparison_view,
    other_generation_data,
    other_generation_view,
    scenarios_data,
    scenarios_view,
)
from .scenarios import Scenario


def show_scenarios(chosen: Sequence[Scenario], *, json: bool) -> None:
    """Print the scenarios, and run none."""
    if json:
        print_json(scenarios_data(chosen))
    else:
        show(scenarios_view(chosen))


def show_comparison(kernel: Kernel, target: Target, chosen: Sequence[Scenario], *, every: bool, json: bool) -> bool:
    """Compare, by what the kernel has of HVO, and print the report; whether both sides agree.

    every  make each allocation fail, however many there are
    """
    features = features_of(kernel)
    if features.generation not in {MODELLED, None}:  # None: who needs a form refuses it, with a sentence
        with Progress(console(error=True), len(chosen)) as progress:
            other = compare_generation(target, kernel, chosen, lambda one: progress(Case(one)))
        if json:
            print_json(other_generation_data(kernel, features, other))
        else:
            show(other_generation_view(kernel, features, other))
        return not other.unexplained
    comparer = Comparer(target, kernel)
    with Progress(console(error=True), len(chosen)) as progress:
        result = compare(comparer, chosen, every=every, told=progress)
    if json:
        print_json(comparison_data(kernel, target, comparer.form, result))
    else:
        show(comparison_view(kernel, target, comparer.form, result))
    return not result.disagreements
