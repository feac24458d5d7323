# SPDX-License-Identifier: GPL-2.0-only
"""Features of a kernel's HVO, found by its symbols, type members and calls, never by its version number.

A set of features names a release, after the kernel in which the set was first seen, and the variant of the engine.
Kernel: mm/hugetlb_vmemmap.c, v6.1, v6.12, v7.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from hvolab.errors import HvolabError, UsageError
from hvolab.release import RELEASES, Evidence, KernelFeature, KernelRelease, Question
from hvolab_kernel.code.calls import callees
from hvolab_kernel.code.hvo_functions import ALL, OPTIMIZING, hvo_functions
from hvolab_vmlinux.errors import KernelImageError, SymbolError
from hvolab_vmlinux.kernel import Kernel, cached_per_kernel

#: Functions of HVO that are searched for calls.
_CALLERS: Final = {Evidence.CALL: ALL, Evidence.OPTIMIZING_CALL: OPTIMIZING}
#: Features by which releases differ.
_DECISIVE: Final = tuple(
    feature for feature in KernelFeature if 0 < sum(feature in release.features for release in RELEASES) < len(RELEASES)
)


@dataclass(frozen=True)
class Answer:
    """A feature that a kernel has or lacks.

    present  None where the kernel lacks the information that would decide it
    found    the evidence
    """

    also_in_data: ClassVar = ("name",)
    feature: KernelFeature = field(metadata={"data": None})
    present: bool | None
    found: str

    @property
    def name(self) -> str:
        """Name of the feature in output."""
        return self.feature.value


@dataclass(frozen=True)
class HvoFeatures:
    """All features of a kernel.

    release   the release with these features; None: no HVO, or a set of features that is not known
    summary   one sentence
    """

    release: KernelRelease | None = field(metadata={"data": None})
    summary: str
    features: tuple[Answer, ...]

    def has(self, feature: KernelFeature) -> bool:
        """Return whether the kernel has the feature."""
        return any(one.feature is feature and one.present for one in self.features)


@cached_per_kernel  # it searches all symbols, and every command needs it
def features_of(kernel: Kernel) -> HvoFeatures:
    """Return the features of a kernel's HVO; none, with a summary that says so, where the kernel has no symbols."""
    if kernel.table is None:
        return HvoFeatures(None, f"cannot determine whether it has HVO: {kernel.lacks[0]}", ())
    features = tuple(_answer(kernel, feature) for feature in KernelFeature)
    has = {one.feature: one.present for one in features}
    if not has[KernelFeature.FOLIOS] and not has[KernelFeature.HEADS]:
        return HvoFeatures(
            None,
            "it has no HVO: neither hugetlb_vmemmap_optimize_folio nor hugetlb_vmemmap_optimize is a symbol, "
            "so it was built without HUGETLB_PAGE_OPTIMIZE_VMEMMAP",
            features,
        )
    unsure = [feature.value for feature in _DECISIVE if has[feature] is None]
    for release in RELEASES:
        if all(has[feature] in {None, feature in release.features} for feature in _DECISIVE):
            doubt = f" (not checked, for lack of BTF: {', '.join(unsure)})" if unsure else ""
            return HvoFeatures(release, f"it has HVO as in {release}{doubt}", features)
    return HvoFeatures(None, "it has HVO, in a variant between the releases that hvolab knows", features)


def release_of(kernel: Kernel) -> KernelRelease:
    """Return the release whose code the kernel has; raises UsageError for an unknown set of features."""
    features = features_of(kernel)
    if features.release is None:
        raise UsageError(
            f"the engine does not model this kernel's HVO: {features.summary}",
            where=kernel.image.release,
            rule="a kernel's HVO is identified by features of its image, not by its release",
            hint=f"use a kernel whose HVO is as in {', '.join(map(str, RELEASES))}",
        )
    return features.release


def _answer(kernel: Kernel, feature: KernelFeature) -> Answer:
    question = feature.question
    if question.evidence in _CALLERS:
        return _by_calls(kernel, feature, question)
    kind, wanted = question.evidence.value, " or ".join(question.names)
    if question.evidence is Evidence.MEMBER and kernel.btf is None:
        return Answer(feature, None, f"no BTF, so that {wanted} cannot be looked up")
    for one in question.names:
        struct, dot, member = one.partition(".")
        if kernel.types.has_member(struct, member) if dot else kernel.symbols.variants(one):
            return Answer(feature, present=True, found=f"{kind} {one}")
    return Answer(feature, present=False, found=f"no {kind} {wanted}")


def _by_calls(kernel: Kernel, feature: KernelFeature, question: Question) -> Answer:
    for name in hvo_functions(kernel, _CALLERS[question.evidence]):
        try:
            called = callees(kernel, name)
        except (SymbolError, KernelImageError):  # a name of several functions, or of none: not of this file
            continue
        except HvolabError as error:
            return Answer(feature, None, error.what)
        for one in question.names:
            if one in called:
                return Answer(feature, present=True, found=f"{name} calls {one}")
    wanted = " or ".join(question.names)
    return Answer(feature, present=False, found=f"no function of HVO there calls {wanted}")
