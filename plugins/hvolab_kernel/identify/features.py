# SPDX-License-Identifier: GPL-2.0-only
"""Features of a kernel's HVO, found by its symbols, type members and calls, never by its version number.

A set of features names a release, after the kernel in which the set was first seen, and the variant of the engine.
Kernel: mm/hugetlb_vmemmap.c, v6.1, v6.12, v7.2.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from hvolab.errors import HvolabError, UsageError
from hvolab.hvo import V6_1, V6_12, V6_12_117, V7_2, HvoVariant
from hvolab_kernel.code.calls import callees
from hvolab_kernel.code.hvo_functions import ALL, OPTIMIZING, hvo_functions
from hvolab_vmlinux.errors import KernelImageError, SymbolError
from hvolab_vmlinux.kernel import Kernel, cached_per_kernel

#: Release that the engine models by default, and whose state pools and invariants describe.
BASELINE: Final = "6.12"


@dataclass(frozen=True)
class KernelFeature:
    """A feature that a kernel has or lacks.

    present  None where the kernel lacks the information that would decide it
    found    the evidence
    """

    name: str
    present: bool | None
    found: str


@dataclass(frozen=True)
class HvoFeatures:
    """All features of a kernel.

    release   ``6.1``, ``6.12`` or ``7.x``; None: no HVO, or a set of features that is not known
    summary   one sentence
    """

    release: str | None
    summary: str
    features: tuple[KernelFeature, ...]

    def has(self, name: str) -> bool:
        """Return whether the kernel has the feature of that name."""
        return any(one.name == name and one.present for one in self.features)


@dataclass(frozen=True)
class _Question:
    """A feature, and its evidence: any of some symbols or type members, or a call of any of some functions.

    kind      symbol, member or call
    callers   functions of HVO that are searched for the call
    """

    name: str
    kind: str
    evidence: tuple[str, ...]
    callers: AbstractSet[str] = ALL


_FOLIOS, _HEADS, _BATCHES, _KEY = "optimizes folios", "optimizes head pages, one by one", "batches", "static key"
_MOVES, _RCU, _COUNTERS = "head moves to a new frame", "waits for RCU", "memmap counters"
_SHARED: Final = "tails share one page per zone and order"
_BOOT_BATCHES: Final = ("hugetlb_vmemmap_optimize_bootmem_folios", "__hugetlb_vmemmap_optimize_folios")
#: Feature by which the first kernels of the baseline and its later stable kernels differ.
_NAMES_BOTH: Final = "walk names head and tail page"

_QUESTIONS: Final = (
    _Question(_FOLIOS, "symbol", ("hugetlb_vmemmap_optimize_folio", "hugetlb_vmemmap_optimize_folios")),
    _Question(_HEADS, "symbol", ("hugetlb_vmemmap_optimize",)),
    _Question(_BATCHES, "symbol", ("hugetlb_vmemmap_optimize_folios",)),
    _Question(_MOVES, "call", ("copy_page", "memcpy", "__memcpy"), OPTIMIZING),
    _Question(_SHARED, "member", ("zone.vmemmap_tails",)),
    _Question(_NAMES_BOTH, "member", ("vmemmap_remap_walk.vmemmap_tail",)),
    _Question("flags in the walk", "member", ("vmemmap_remap_walk.flags",)),
    _Question(_RCU, "call", ("synchronize_rcu",)),
    _Question(_KEY, "symbol", ("hugetlb_optimize_vmemmap_key",)),
    _Question(_COUNTERS, "symbol", ("memmap_pages_add", "memmap_boot_pages_add")),
    _Question("boot memmap is registered", "symbol", ("put_page_bootmem",)),
    _Question("batches of boot folios", "symbol", _BOOT_BATCHES),
    _Question("switch", "symbol", ("vmemmap_optimize_enabled",)),
)
#: Releases, with the features that distinguish them: those that a release has, and those that it lacks.
_RELEASES: Final = (
    ("7.x", (_FOLIOS, _BATCHES, _SHARED, _MOVES), (_KEY, _RCU)),
    (BASELINE, (_FOLIOS, _BATCHES, _MOVES, _RCU, _KEY, _COUNTERS), (_SHARED,)),
    ("6.1", (_HEADS, _KEY), (_BATCHES, _MOVES, _RCU, _COUNTERS)),
)
#: Variant of the first kernels of each release.
_VARIANTS: Final = {"6.1": V6_1, BASELINE: V6_12, "7.x": V7_2}


@cached_per_kernel  # it searches all symbols, and every command needs it
def features_of(kernel: Kernel) -> HvoFeatures:
    """Return the features of a kernel's HVO; none, with a summary that says so, where the kernel has no symbols."""
    if kernel.table is None:
        return HvoFeatures(None, f"cannot determine whether it has HVO: {kernel.lacks[0]}", ())
    features = tuple(_answer(kernel, question) for question in _QUESTIONS)
    has = {one.name: one.present for one in features}
    if not has[_FOLIOS] and not has[_HEADS]:
        return HvoFeatures(
            None,
            "it has no HVO: neither hugetlb_vmemmap_optimize_folio nor hugetlb_vmemmap_optimize is a symbol, "
            "so it was built without HUGETLB_PAGE_OPTIMIZE_VMEMMAP",
            features,
        )
    for release, wanted, unwanted in _RELEASES:
        if all(has[name] is not False for name in wanted) and not any(has[name] for name in unwanted):
            unsure = [name for name in (*wanted, *unwanted) if has[name] is None]
            doubt = f" (not checked, for lack of BTF: {', '.join(unsure)})" if unsure else ""
            return HvoFeatures(release, f"it has HVO as in {release}{doubt}", features)
    return HvoFeatures(None, "it has HVO, in a variant between the releases that hvolab knows", features)


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
    if features.release == BASELINE and features.has(_NAMES_BOTH):
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


def _answer(kernel: Kernel, question: _Question) -> KernelFeature:
    if question.kind == "call":
        return _by_calls(kernel, question)
    wanted = " or ".join(question.evidence)
    if question.kind == "member" and kernel.btf is None:
        return KernelFeature(question.name, None, f"no BTF, so that {wanted} cannot be looked up")
    for one in question.evidence:
        struct, dot, member = one.partition(".")
        if kernel.types.has_member(struct, member) if dot else kernel.symbols.variants(one):
            return KernelFeature(question.name, present=True, found=f"{question.kind} {one}")
    return KernelFeature(question.name, present=False, found=f"no {question.kind} {wanted}")


def _by_calls(kernel: Kernel, question: _Question) -> KernelFeature:
    for name in hvo_functions(kernel, question.callers):
        try:
            called = callees(kernel, name)
        except (SymbolError, KernelImageError):  # a name of several functions, or of none: not of this file
            continue
        except HvolabError as error:
            return KernelFeature(question.name, None, error.what)
        for one in question.evidence:
            if one in called:
                return KernelFeature(question.name, present=True, found=f"{name} calls {one}")
    wanted = " or ".join(question.evidence)
    return KernelFeature(question.name, present=False, found=f"no function of HVO there calls {wanted}")
