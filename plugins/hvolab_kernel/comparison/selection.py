# SPDX-License-Identifier: GPL-2.0-only
"""Selection of a comparison's target and scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab.release import HvoVariant
from hvolab_kernel.comparison.scenarios import Operation, Scenario, scenarios_of
from hvolab_kernel.identify.features import features_of
from hvolab_kernel.running.initial_state import modes_of
from hvolab_vmlinux.kernel import Kernel

#: Name or alias of the architecture of each ELF machine.
_ARCHITECTURES: Final = {"EM_X86_64": "x86_64", "EM_AARCH64": "arm64", "EM_RISCV": "riscv64"}


def target_of(kernel: Kernel, mode: str | None = None, features: Sequence[str] | None = None) -> Target:
    """Return the target of a kernel and its release in a paging mode; by default the first that it is built for.

    Raises UsageError for an unknown mode or feature.
    """
    architecture = registry().architecture(_ARCHITECTURES[kernel.image.machine])
    names = tuple(name.strip() for item in features or () for name in item.split(",") if name.strip())
    modes = modes_of(kernel, architecture.modes)
    if mode is None and modes:
        mode = modes[0].name
    return architecture.select(mode, release=features_of(kernel).release, features=names)


def chosen_scenarios(target: Target, texts: Sequence[str] | None) -> tuple[Scenario, ...]:
    """Return the scenarios with one of the texts at the start of a word of their name; all if there are no texts.

    Raises UsageError for a text that is in no name.
    """
    scenarios = scenarios_of(target)
    for text in texts or ():
        if not any(_matches(one, text) for one in scenarios):
            raise UsageError(f"no scenario's name contains {text!r}", hint="list the names: hvolab kernel IMAGE --list")
    return tuple(one for one in scenarios if not texts or any(_matches(one, text) for text in texts))


def _matches(scenario: Scenario, text: str) -> bool:
    """Match a text at the start of a word only: `2M` does not select `32M`."""
    return f" {text}" in f" {scenario.name}"


def comparable(scenarios: Sequence[Scenario], variant: HvoVariant, *, batches: bool) -> tuple[Scenario, ...]:
    """Return the scenarios that apply to a kernel of a variant; `batches`: its HVO takes lists of folios.

    A kernel whose callers must not optimize a folio twice is not called to do so.
    """
    return tuple(
        one
        for one in scenarios
        if (batches or not one.takes_lists) and (variant.refuses_optimized or not _optimizes_twice(one))
    )


def _optimizes_twice(scenario: Scenario) -> bool:
    optimized: set[int] = set()
    for step in (*scenario.prelude, *scenario.steps):
        if step.operation is Operation.OPTIMIZE:
            if optimized & set(step.folios):
                return True
            optimized |= set(step.folios)
        elif step.operation is Operation.RESTORE:
            optimized -= set(step.folios)
    return False
