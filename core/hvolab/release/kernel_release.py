# SPDX-License-Identifier: GPL-2.0-only
"""A kernel release, declared by its changes against the release before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from hvolab.release.features import KernelFeature
from hvolab.release.hugetlb import HugetlbVariant
from hvolab.release.struct_page import StructPageLayout
from hvolab.release.variant import HvoVariant

#: Attributes of a change that set facts, with the part of the kernel that these are about.
PARTS: Final = (("variant", "HVO"), ("hugetlb", "hugetlb"), ("struct_page", "struct page"))


def facts(**values: Any) -> tuple[tuple[str, Any], ...]:
    """Return facts and their values, as a change sets them."""
    return tuple(values.items())


def defaults(*names: str) -> tuple[tuple[str, Any], ...]:
    """Return these fields of StructPageLayout with their defaults, which are v6.12's."""
    return tuple((name, getattr(StructPageLayout(), name)) for name in names)


@dataclass(frozen=True)
class KernelChange:
    """One difference of a release from the release before it.

    sentence     what it does, in one sentence
    commit       the commit that made it: short id, subject, release; empty where it is not known
    gains        features that an image has from then on
    loses        features that an image does not have any more
    variant      facts of HvoVariant that it sets
    hugetlb      facts of HugetlbVariant that it sets
    struct_page  fields of StructPageLayout that it sets
    about        the part of the kernel, for a change that sets no fact
    faults       what it breaks, a sentence each, with the evidence
    mends        the faults of earlier changes that it ends
    """

    sentence: str
    commit: str = ""
    gains: frozenset[KernelFeature] = frozenset()
    loses: frozenset[KernelFeature] = frozenset()
    variant: tuple[tuple[str, Any], ...] = ()
    hugetlb: tuple[tuple[str, Any], ...] = ()
    struct_page: tuple[tuple[str, Any], ...] = ()
    about: str = ""
    faults: tuple[str, ...] = ()
    mends: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.sentence} {self.commit}" if self.commit else self.sentence

    @property
    def part(self) -> str:
        """The part of the kernel that it changes, by the first kind of facts that it sets; HVO, if nothing names it."""
        return self.about or next((title for name, title in PARTS if getattr(self, name)), PARTS[0][1])


@dataclass(frozen=True)
class KernelRelease:
    """One release: the facts of HVO's and hugetlb's code, and the layout of struct page.

    name         on the command line
    summary      one line
    before       the release that it is declared against; None: the first
    changes      its differences from that release, the oldest first
    variant      facts of HVO's code
    hugetlb      facts of hugetlb's code
    struct_page  layout of struct page, where an architecture does not declare another
    features     features of its images
    anywhere     whether every architecture can select it; else those that declare a change for it
    """

    name: str
    summary: str
    before: KernelRelease | None
    changes: tuple[KernelChange, ...]
    variant: HvoVariant
    hugetlb: HugetlbVariant
    struct_page: StructPageLayout
    features: frozenset[KernelFeature]
    anywhere: bool = True

    def __str__(self) -> str:
        return self.name

    def after(self, name: str, summary: str, *changes: KernelChange, anywhere: bool = True) -> KernelRelease:
        """Return a release that differs from this one by ``changes``."""
        variant, hugetlb, struct_page, features = self.variant, self.hugetlb, self.struct_page, self.features
        for change in changes:
            variant = replace(variant, **dict(change.variant))
            hugetlb = replace(hugetlb, **dict(change.hugetlb))
            struct_page = replace(struct_page, **dict(change.struct_page))
            features = (features | change.gains) - change.loses
        return KernelRelease(name, summary, self, changes, variant, hugetlb, struct_page, features, anywhere)

    @property
    def line(self) -> tuple[KernelRelease, ...]:
        """The release and those that it is built on, the first release first."""
        return (*(self.before.line if self.before is not None else ()), self)

    @cached_property
    def faults(self) -> tuple[str, ...]:
        """The known faults of its code: those of its line that no later change mends."""
        found: dict[str, None] = {}
        for change in self._line_changes():
            found |= dict.fromkeys(change.faults)
            for fault in change.mends:
                found.pop(fault, None)
        return tuple(found)

    def differences(self, other: KernelRelease) -> tuple[tuple[KernelChange, ...], tuple[KernelChange, ...]]:
        """Return the changes that this release has and ``other`` has not, and those that only ``other`` has."""
        ours, theirs = self._line_changes(), other._line_changes()
        return tuple(one for one in ours if one not in theirs), tuple(one for one in theirs if one not in ours)

    def _line_changes(self) -> tuple[KernelChange, ...]:
        return tuple(change for release in self.line for change in release.changes)
