"""Which form of HVO's code a kernel has, told by its features, and what hvolab does not model of it."""

from __future__ import annotations

from typing import Final

from hvolab.errors import UsageError
from hvolab.hvo import V6_12, V6_12_117, HvoForm
from hvolab_kernel.features import HvoFeatures, features_of
from hvolab_kernel.kernel import Kernel

#: The generation that the engine models.
MODELLED: Final = "6.12"
_NAMES_BOTH: Final = "walk names head and tail page"
#: What a kernel of that generation has, and whether; of others every difference is told.
EXPECTED: Final = {
    "optimises folios": True,
    "optimises head pages, one by one": False,
    "batches": True,
    "head moves to a new frame": True,
    "tails share one page per zone and order": False,
    "flags in the walk": True,
    "waits for RCU": True,
    "static key": True,
    "memmap counters": True,
    "switch": True,
}


def form_of(kernel: Kernel) -> HvoForm:
    """The form that the engine has to follow; raises UsageError for a kernel whose generation is not modelled."""
    features = features_of(kernel)
    if features.generation != MODELLED:
        raise UsageError(
            f"the engine does not model this kernel's HVO: {features.summary}",
            where=kernel.image.release,
            rule="; ".join(not_modelled(features)) if features.generation else "",
            remedy="compare a kernel of the generation 6.12",
        )
    return nearest_form(kernel)


def nearest_form(kernel: Kernel) -> HvoForm:
    """The form that a kernel of any generation comes nearest to."""
    return V6_12_117 if features_of(kernel).has(_NAMES_BOTH) else V6_12


def not_modelled(features: HvoFeatures) -> tuple[str, ...]:
    """What such a kernel has and the engine does not, or the other way about: a sentence each."""
    sentences = []
    for one in features.features:
        expected = EXPECTED.get(one.name)
        if expected is None or one.present is None or one.present is expected:
            continue
        verb = "has" if one.present else "does not have"
        sentences.append(f"not modelled: this kernel {verb} “{one.name}” ({one.found})")
    return tuple(sentences)
