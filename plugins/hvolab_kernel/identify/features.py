# SPDX-License-Identifier: GPL-2.0-only
"""Features of a kernel's HVO, found by its symbols, type members and calls, never by its version number.

A set of features names a release, after the kernel in which the set was first seen, and the variant of the engine.
Kernel: mm/hugetlb_vmemmap.c, v6.1, v6.12, v7.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from hvolab.errors import HvolabError
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

    release   the release with these features; None: no HVO, or a set of features that no release has
    summary   one sentence
    """

    release: KernelRelease | None = field(metadata={"data": None})
    summary: str
    features: tuple[Answer, ...]

    @property
    def exists(self) -> bool:
        """True if the kernel has HVO."""
        return self.has(KernelFeature.FOLIOS) or self.has(KernelFeature.HEADS)

    def has(self, feature: KernelFeature) -> bool:
        """Return whether the kernel has the feature."""
        return any(one.feature is feature and one.present for one in self.features)

    def against(self, release: KernelRelease) -> tuple[Answer, ...]:
        """Return the features in which the kernel differs from a release, without those that are not known."""
        return _against(self.features, release)

    @property
    def nearest(self) -> KernelRelease | None:
        """The release from which the kernel differs in the fewest features, the latest of several; None: no HVO."""
        if not self.exists:
            return None
        # releases with the same features count as the first of them
        distinct = [one for one in RELEASES if next(r for r in RELEASES if r.features == one.features) is one]
        return min(reversed(distinct), key=lambda release: len(self.against(release)))


@cached_per_kernel  # it searches all symbols, and every command needs it
def features_of(kernel: Kernel) -> HvoFeatures:
    """Return the features of a kernel's HVO; none, with a summary that says so, where the kernel has no symbols."""
    if kernel.table is None:
        return HvoFeatures(None, f"cannot determine whether it has HVO: {kernel.lacks[0]}", ())
    answers = tuple(_answer(kernel, feature) for feature in KernelFeature)
    release = next((release for release in RELEASES if not _against(answers, release)), None)
    unsure = [one.name for one in answers if one.present is None and one.feature in _DECISIVE]
    doubt = f" (not checked, for lack of BTF: {', '.join(unsure)})" if unsure else ""
    found = HvoFeatures(release, f"it has HVO as in {release}{doubt}", answers)
    if not found.exists:
        return HvoFeatures(
            None,
            "it has no HVO: neither hugetlb_vmemmap_optimize_folio nor hugetlb_vmemmap_optimize is a symbol, "
            "so it was built without HUGETLB_PAGE_OPTIMIZE_VMEMMAP",
            answers,
        )
    if release is None:
        nearest = f"the nearest by features is {found.nearest}, not verified by running its code"
        return replace(found, summary=f"it has HVO, with the features of no known release; {nearest}")
    return found


def _against(answers: Iterable[Answer], release: KernelRelease) -> tuple[Answer, ...]:
    return tuple(
        one
        for one in answers
        if one.feature in _DECISIVE and one.present not in {None, one.feature in release.features}
    )


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
    before = None if kernel.linked is None else kernel.linked.before
    if before is not None and not set(hvo_functions(before, _CALLERS[question.evidence])) <= set(hvo_functions(kernel)):
        # the function that calls it may have another name
        return replace(
            _by_calls(before, feature, question), found="assumed as in the image: functions have other names"
        )
    wanted = " or ".join(question.names)
    return Answer(feature, present=False, found=f"no function of HVO there calls {wanted}")
