"""Variant of HVO that a kernel has, by its features."""

from __future__ import annotations

from typing import Final

from hvolab.errors import UsageError
from hvolab.hvo import V6_1, V6_12, V6_12_117, V7_2, HvoVariant
from hvolab_kernel.identify.features import BASELINE, NAMES_BOTH, features_of
from hvolab_vmlinux.kernel import Kernel

#: Variant of the first kernels of each release.
_VARIANTS: Final = {"6.1": V6_1, BASELINE: V6_12, "7.x": V7_2}


def variant_of(kernel: Kernel) -> HvoVariant:
    """Return the variant that the engine has to follow; raises UsageError for an unknown set of features."""
    features = features_of(kernel)
    if features.release is None:
        raise UsageError(
            f"the engine does not model this kernel's HVO: {features.summary}",
            where=kernel.image.release,
            rule="a kernel's HVO is identified by features of its image, not by its release",
            hint=f"use a kernel whose HVO is as in {', '.join(_VARIANTS)}",
        )
    if features.release == BASELINE and features.has(NAMES_BOTH):
        return V6_12_117
    return _VARIANTS[features.release]


def variant_for_pools(kernel: Kernel) -> HvoVariant:
    """Return the variant as :func:`variant_of`; raises UsageError also where pools and invariants do not model it."""
    variant, features = variant_of(kernel), features_of(kernel)
    if features.release != BASELINE:
        raise UsageError(
            f"pools and invariants do not model this kernel's HVO: {features.summary}",
            where=kernel.image.release,
            rule="; ".join(variant.departures),
            hint="compare it with the engine, which models it: hvolab kernel IMAGE",
        )
    return variant
