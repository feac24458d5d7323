# SPDX-License-Identifier: GPL-2.0-only
"""Choice of a core's kernel release: by what VMCOREINFO and memory show, never by the kernel's version number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hvolab.arch import Target
from hvolab.release import DEFAULT, RELEASES, KernelRelease
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo


@dataclass(frozen=True)
class ReleaseEvidence:
    """A fact of a core in which releases differ.

    text     the fact, and where the core shows it
    fits     returns whether a release, as a target has it, does the same
    decides  False: it only makes one of the releases that fit all else the likeliest
    """

    text: str
    fits: Callable[[Target], bool]
    decides: bool = True


@dataclass(frozen=True)
class ReleaseChoice:
    """A release that was chosen, and the reasons.

    release     the release
    named       an option names it
    fits        facts of the core that fit it
    contradict  facts of the core that do not
    as_well     other releases that fit as many facts
    close       other releases that at most one more fact contradicts, those of ``as_well`` first
    """

    release: KernelRelease
    named: bool = False
    fits: tuple[str, ...] = ()
    contradict: tuple[str, ...] = ()
    as_well: tuple[KernelRelease, ...] = ()
    close: tuple[KernelRelease, ...] = ()

    def sentences(self) -> Iterator[str]:
        """Return the choice in sentences: release, reasons, doubts."""
        by = "named by --release" if self.named else "chosen by features of the core"
        yield f"modeled as release {self.release}: {by}"
        for text in self.fits:
            yield f"  {text}"
        for text in self.contradict:
            yield f"  but not as in {self.release}: {text}"
        if self.as_well:
            names = ", ".join(release.name for release in self.as_well)
            yield f"  {names} would fit as well: nothing in the core excludes it"


def targets_of(select: Callable[[KernelRelease], Target]) -> tuple[Target, ...]:
    """Return the targets of the releases from which one is chosen: all but those that are no kernel's."""
    return tuple(select(release) for release in RELEASES if release.anywhere)


def choose(targets: Sequence[Target], evidence: Sequence[ReleaseEvidence]) -> ReleaseChoice:
    """Choose the release that the fewest facts contradict; of several the likeliest, the default one, or the oldest."""

    def contradictions(target: Target, *, decides: bool = True) -> int:
        return sum(not one.fits(target) for one in evidence if one.decides is decides)

    def order(target: Target) -> tuple[int, int, bool]:
        return contradictions(target), contradictions(target, decides=False), target.release is not DEFAULT

    ranking = sorted(targets, key=order)
    chosen, *others = ranking
    fewest = contradictions(chosen)
    return ReleaseChoice(
        chosen.release,
        fits=tuple(one.text for one in evidence if one.fits(chosen)),
        contradict=tuple(one.text for one in evidence if not one.fits(chosen)),
        as_well=tuple(other.release for other in others if contradictions(other) == fewest),
        close=tuple(other.release for other in others if contradictions(other) <= fewest + 1),
    )


def _has_type(target: Target) -> bool:
    layout = target.struct_page
    return (layout.hugetlb_mark.page, layout.hugetlb_mark.offset) == (0, layout.page_type)


#: Keys of VMCOREINFO in which releases differ, with their meaning, and the releases that have them.
#: Kernel: crash_save_vmcoreinfo_init() in kernel/crash_core.c, v6.1, and kernel/vmcore_info.c, v6.12 and v7.2.
_KEYS: Final[tuple[tuple[str, str, Callable[[Target], bool]], ...]] = (
    (
        "OFFSET(page.compound_head)",
        "a tail points to its head",
        lambda target: not target.struct_page.masks_compound,
    ),
    (
        "OFFSET(page.compound_info)",
        "a tail holds a mask that leads to its head",
        lambda target: target.struct_page.masks_compound,
    ),
    (
        "NUMBER(HUGETLB_PAGE_DTOR)",
        "hugetlb folios have a destructor",
        lambda target: not _has_type(target),
    ),
    (
        "NUMBER(PG_hugetlb)",
        "hugetlb folios have a flag in their second struct page",
        lambda _: False,
    ),
    (
        "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)",
        "hugetlb folios have a page type",
        _has_type,
    ),
)


def noted_evidence(info: VmcoreInfo | None) -> tuple[ReleaseEvidence, ...]:
    """Return the facts in VMCOREINFO."""
    values = {} if info is None else info.values
    return tuple(ReleaseEvidence(f"{text}: VMCOREINFO has {key}", fits) for key, text, fits in _KEYS if key in values)
