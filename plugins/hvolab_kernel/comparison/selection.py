# SPDX-License-Identifier: GPL-2.0-only
"""Selection of a comparison's target and scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from hvolab.arch import Architecture, PagingMode, Target
from hvolab.cli.options import split_names
from hvolab.errors import UsageError
from hvolab.release import DEFAULT, HvoVariant, KernelRelease
from hvolab.units import format_short
from hvolab_kernel.code.listing import architecture_of
from hvolab_kernel.comparison.comparer import NamedScenario
from hvolab_kernel.comparison.scenarios import Operation, Scenario
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.running.initial_state import modes_of
from hvolab_vmlinux.kernel import Kernel

#: Size of the largest huge page in a scenario.
_LARGEST: Final = 1 << 30
_Named = TypeVar("_Named", bound=NamedScenario)


def target_of(
    kernel: Kernel,
    mode: str | None = None,
    features: Sequence[str] | None = None,
    release: str | KernelRelease | None = None,
) -> Target:
    """Return the target of a kernel in a paging mode; by default the first that it is built for.

    release  the release; by default the one that the kernel is taken for

    Raises UsageError for an unknown mode, feature or release, and for a kernel without HVO.
    """
    architecture = described_architecture(kernel)
    release = architecture.release(release) if release else release_of(kernel)
    mode = mode or first_mode(kernel, architecture)
    return architecture.select(mode, release=release, features=split_names(list(features or ())))


def described_architecture(kernel: Kernel) -> Architecture:
    """Return the description of a kernel's architecture; raises UsageError where no plugin has one."""
    architecture = architecture_of(kernel)
    if architecture is None:
        raise UsageError(
            f"no plugin describes the architecture of this kernel, {kernel.image.machine}",
            where=kernel.image.release,
            hint="list the architectures: hvolab arches",
        )
    return architecture


def first_mode(kernel: Kernel, architecture: Architecture) -> str | None:
    """Return the first mode that a kernel is built for; None: hvolab has none of its modes."""
    return next((mode.name for mode in modes_of(kernel, architecture.modes)), None)


def chosen_scenarios(scenarios: Sequence[_Named], texts: Sequence[str] | None) -> tuple[_Named, ...]:
    """Return the scenarios with one of the texts at the start of a word of their name; all if there are no texts.

    Raises UsageError for a text that is in no name.
    """
    for text in texts or ():
        if not any(_matches(one, text) for one in scenarios):
            raise UsageError(f"no scenario's name contains {text!r}", hint="list the names: hvolab kernel IMAGE --list")
    return tuple(one for one in scenarios if not texts or any(_matches(one, text) for text in texts))


def quick_scenarios(scenarios: Sequence[_Named], mode: PagingMode) -> tuple[_Named, ...]:
    """Return the scenarios of huge pages of the leaf above the last level, and two more kinds.

    Optimizing pages of 1 GiB has the errors of long ranges: one leaf after another is split, and rolled back. A huge
    page whose struct pages are in one page is not to be optimized at all.
    """
    leaf, largest = format_short(mode.levels[-2].size), format_short(_LARGEST)
    smallest = format_short(mode.page_size // DEFAULT.struct_page.size * mode.page_size)
    return tuple(
        one
        for one in scenarios
        if one.name.startswith((f"{leaf} ", f"{smallest} "))
        or (one.name.startswith(f"{largest} ") and one.name.endswith(": optimize"))
    )


def _matches(scenario: NamedScenario, text: str) -> bool:
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
    enabled = True
    for step in (*scenario.prelude, *scenario.steps):
        match step.operation:
            case Operation.SWITCH_ON | Operation.SWITCH_OFF:
                enabled = step.operation is Operation.SWITCH_ON
            case Operation.OPTIMIZE if enabled:  # else it returns at once
                if optimized & set(step.folios):
                    return True
                optimized |= set(step.folios)
            case Operation.RESTORE:
                optimized -= set(step.folios)
    return False
