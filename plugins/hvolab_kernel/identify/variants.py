"""Which variant of HVO's code a kernel has, told by its features, and what it has otherwise than v6.12."""

from __future__ import annotations

from typing import Final

from hvolab.errors import UsageError
from hvolab.hvo import V6_1, V6_12, V6_12_117, V7_2, HvoVariant
from hvolab_kernel.identify.features import HvoFeatures, features_of
from hvolab_vmlinux.kernel import Kernel

#: The release that the engine follows if nothing else is said, and whose state pools and invariants describe.
USUAL: Final = "6.12"
_NAMES_BOTH: Final = "walk names head and tail page"
#: The variant of each release, as its first release has it.
_VARIANTS: Final = {"6.1": V6_1, USUAL: V6_12, "7.x": V7_2}
#: What a kernel of that release has, and whether.
EXPECTED: Final = {
    "optimizes folios": True,
    "optimizes head pages, one by one": False,
    "batches": True,
    "head moves to a new frame": True,
    "tails share one page per zone and order": False,
    "flags in the walk": True,
    "waits for RCU": True,
    "static key": True,
    "memmap counters": True,
    "switch": True,
}


def variant_of(kernel: Kernel) -> HvoVariant:
    """The variant that the engine has to follow; raises UsageError for a kernel whose HVO is of no release known."""
    features = features_of(kernel)
    if features.release is None:
        raise UsageError(
            f"the engine does not model this kernel's HVO: {features.summary}",
            where=kernel.image.release,
            rule="what a kernel has is told by features of its image, not by its release",
            hint="compare a kernel whose HVO is as that of 6.1, 6.12 or 7.x",
        )
    if features.release == USUAL and features.has(_NAMES_BOTH):
        return V6_12_117
    return _VARIANTS[features.release]


def variant_for_pools(kernel: Kernel) -> HvoVariant:
    """As :func:`variant_of`; raises UsageError also for a release whose state pools and invariants do not describe."""
    variant, features = variant_of(kernel), features_of(kernel)
    if features.release != USUAL:
        raise UsageError(
            f"pools and invariants do not know what this kernel's HVO leaves: {features.summary}",
            where=kernel.image.release,
            rule="; ".join(departures(features)),
            hint="compare it with the engine, which has its variant as well: hvolab kernel IMAGE",
        )
    return variant


def departures(features: HvoFeatures) -> tuple[str, ...]:
    """What such a kernel has and v6.12 does not, or the other way about: a sentence each."""
    sentences = []
    for one in features.features:
        expected = EXPECTED.get(one.name)
        if expected is None or one.present is None or one.present is expected:
            continue
        sentences.append(f"{'it has' if one.present else 'it lacks'} “{one.name}” ({one.found})")
    return tuple(sentences)
