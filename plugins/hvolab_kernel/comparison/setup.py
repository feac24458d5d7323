# SPDX-License-Identifier: GPL-2.0-only
"""Setup of `run --engine kernel`: release, mode and struct page layout of an image, before its machine is built.

The release of a kernel that has the features of no known release is a guess, the nearest one. The kernel's code then
runs next to the model of that release in a few scenarios, and the differences are reported.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from hvolab.arch import Target
from hvolab.errors import HvolabError, UsageError
from hvolab.hvo import EngineSetup
from hvolab.release import KernelFeature
from hvolab_kernel.comparison.comparer import Comparer, ComparisonCase, KernelComparison, compare
from hvolab_kernel.comparison.scenarios import Scenario, scenarios_of
from hvolab_kernel.comparison.selection import (
    comparable,
    described_architecture,
    first_mode,
    quick_scenarios,
    target_of,
)
from hvolab_kernel.identify.features import features_of
from hvolab_kernel.identify.release import identify, require_agreement
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel

#: Cases with differences that the notes describe; `hvolab kernel` has all.
_MAX_CASES: Final = 3


def setup_of(kernel: Kernel, release: str | None) -> EngineSetup:
    """Return the engine of a kernel and what its machine must be.

    release  the release that the user names

    Raises UsageError for a kernel without HVO, for a release that contradicts its features, and for a kernel of no
    known release whose code cannot be compared with a model; KernelImageError for a kernel without type information.
    """
    architecture = described_architecture(kernel)
    identification = identify(kernel, architecture.release(release) if release else None)
    require_agreement(kernel, identification)
    notes = identification.notes
    if notes and not release:
        notes += comparison_notes(kernel, target_of(kernel, release=identification.release))
    return EngineSetup(
        lambda machine: KernelHvo(machine, kernel),
        architecture=architecture.name,
        mode=first_mode(kernel, architecture),
        release=identification.release,
        layout=struct_page_layout(kernel),
        notes=notes,
    )


def comparison_notes(kernel: Kernel, target: Target) -> tuple[str, ...]:
    """Compare a kernel with the model of a release in the quick scenarios; return the result as sentences.

    Raises UsageError where the kernel's code cannot be run.
    """
    try:
        result = compare_quickly(kernel, target)
    except HvolabError as error:
        raise UsageError(
            f"cannot determine whether this kernel's HVO does what that of {target.release} does: {error.what}",
            where=kernel.image.release,
            rule="a kernel with the features of no known release is taken for the nearest after its code was compared",
            hint="name the release to model, without a comparison: --release",
        ) from error
    scenarios = len(result.per_scenario)
    done = f"Compared with the model of {target.release} in {result.cases} cases of {scenarios} scenarios"
    if not result.disagreements:
        return (f"{done}: no difference.",)
    notes = [f"{done}: {len(result.disagreements)} differ. hvolab kernel shows all."]
    for case, (first, *_) in islice(result.disagreements.items(), _MAX_CASES):
        notes.append(f"{case}: {first.what}: kernel {first.kernel}, model {first.engine or 'none'}")
    return tuple(notes)


def compare_quickly(kernel: Kernel, target: Target) -> KernelComparison[Scenario]:
    """Compare a kernel with the model of the target's release in the quick scenarios.

    Each allocation fails in turn, except in those of gigantic folios.
    """
    comparer = Comparer(target, kernel)
    batches = features_of(kernel).has(KernelFeature.BATCHES)
    quick = quick_scenarios(scenarios_of(target), target.mode)
    chosen = comparable(quick, target.release.variant, batches=batches)
    result = compare(comparer, [one for one in chosen if not one.gigantic])
    for scenario in chosen:
        if scenario.gigantic:
            case = ComparisonCase(scenario)
            result.add(case, comparer.run(case))
    return result
