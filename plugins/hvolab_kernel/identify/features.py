"""What a kernel has of HVO, found by its symbols and type members, never by its version number.

What names a release is the set of features; versions only say where a set was first seen.
Kernel: mm/hugetlb_vmemmap.c, v6.1, v6.12, v7.2.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from hvolab.errors import HvolabError
from hvolab_kernel.code.listing import callees
from hvolab_vmlinux.errors import KernelImageError, SymbolError
from hvolab_vmlinux.kernel import Kernel, cached_per_kernel


@dataclass(frozen=True)
class KernelFeature:
    """Something that a kernel may have of HVO.

    name     what it is called here
    present  whether this kernel has it; None where it lacks what would tell
    found    what told
    """

    name: str
    present: bool | None
    found: str


@dataclass(frozen=True)
class HvoFeatures:
    """What a kernel has of HVO.

    release  ``6.1``, ``6.12`` or ``7.x``, after the kernel that has this set; None: no HVO, or a set not known
    summary     one sentence
    features    each by itself
    """

    release: str | None
    summary: str
    features: tuple[KernelFeature, ...]

    def has(self, name: str) -> bool:
        """Whether the kernel has the feature of that name."""
        return any(one.name == name and one.present for one in self.features)


@dataclass(frozen=True)
class _Question:
    """A feature: its name, and what shows it: one of some symbols or type members, or a call in HVO's functions."""

    name: str
    symbols: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()
    called: tuple[str, ...] = ()
    callers: frozenset[str] = frozenset()


#: Functions that the compiler may have left of optimizing, without underscores before and suffixes behind.
_OPTIMIZING: Final = frozenset(
    {
        "vmemmap_remap_pte",
        "vmemmap_remap_free",
        "hugetlb_vmemmap_optimize",
        "hugetlb_vmemmap_optimize_folio",
        "hugetlb_vmemmap_optimize_folios",
    }
)
#: The others.
_OTHERS: Final = frozenset(
    {
        "vmemmap_split_pmd",
        "vmemmap_pmd_entry",
        "vmemmap_pte_entry",
        "vmemmap_remap_range",
        "vmemmap_restore_pte",
        "vmemmap_remap_split",
        "vmemmap_remap_alloc",
        "alloc_vmemmap_page_list",
        "free_vmemmap_page_list",
        "vmemmap_should_optimize_folio",
        "hugetlb_vmemmap_restore",
        "hugetlb_vmemmap_restore_folio",
        "hugetlb_vmemmap_restore_folios",
        "hugetlb_vmemmap_split_folio",
    }
)

_QUESTIONS: Final = (
    _Question("optimizes folios", ("hugetlb_vmemmap_optimize_folio", "hugetlb_vmemmap_optimize_folios")),
    _Question("optimizes head pages, one by one", ("hugetlb_vmemmap_optimize",)),
    _Question("batches", ("hugetlb_vmemmap_optimize_folios",)),
    _Question("head moves to a new frame", called=("copy_page", "memcpy", "__memcpy"), callers=_OPTIMIZING),
    _Question("tails share one page per zone and order", members=(("zone", "vmemmap_tails"),)),
    _Question("walk names head and tail page", members=(("vmemmap_remap_walk", "vmemmap_tail"),)),
    _Question("flags in the walk", members=(("vmemmap_remap_walk", "flags"),)),
    _Question("waits for RCU", called=("synchronize_rcu",), callers=_OPTIMIZING | _OTHERS),
    _Question("static key", ("hugetlb_optimize_vmemmap_key",)),
    _Question("memmap counters", ("memmap_pages_add", "memmap_boot_pages_add")),
    _Question("boot memmap is registered", ("put_page_bootmem",)),
    _Question(
        "batches of boot folios", ("hugetlb_vmemmap_optimize_bootmem_folios", "__hugetlb_vmemmap_optimize_folios")
    ),
    _Question("switch", ("vmemmap_optimize_enabled",)),
)
_HVO: Final = ("optimizes folios", "optimizes head pages, one by one")

_MOVES, _RCU = "head moves to a new frame", "waits for RCU"
_SHARED: Final = "tails share one page per zone and order"
#: A release, and what tells it from the others: features that it has, and that it has not.
_RELEASES: Final = (
    ("7.x", ("optimizes folios", "batches", _SHARED, _MOVES), ("static key", _RCU)),
    ("6.12", ("optimizes folios", "batches", _MOVES, _RCU, "static key", "memmap counters"), (_SHARED,)),
    ("6.1", ("optimizes head pages, one by one", "static key"), ("batches", _MOVES, _RCU, "memmap counters")),
)


@cached_per_kernel  # it takes a search of all symbols, and is asked for by everybody
def features_of(kernel: Kernel) -> HvoFeatures:
    """What the kernel has of HVO. One without symbols cannot tell; that is said, not raised."""
    if kernel.table is None:
        return HvoFeatures(None, f"whether it has HVO cannot be told: {kernel.lacks[0]}", ())
    features = tuple(_answer(kernel, question) for question in _QUESTIONS)
    has = {one.name: one.present for one in features}
    if not any(has[name] for name in _HVO):
        return HvoFeatures(
            None,
            "it has no HVO: there is no function hugetlb_vmemmap_optimize_folio or hugetlb_vmemmap_optimize, "
            "so it was built without HUGETLB_PAGE_OPTIMIZE_VMEMMAP",
            features,
        )
    for release, wanted, unwanted in _RELEASES:
        if all(has[name] is not False for name in wanted) and not any(has[name] for name in unwanted):
            unsure = [name for name in (*wanted, *unwanted) if has[name] is None]
            doubt = f", as far as can be told without BTF ({', '.join(unsure)})" if unsure else ""
            return HvoFeatures(release, f"it has HVO as {release} has it{doubt}", features)
    return HvoFeatures(None, "it has HVO, in a form between the releases that hvolab knows", features)


def _answer(kernel: Kernel, question: _Question) -> KernelFeature:
    if question.called:
        return _by_calls(kernel, question)
    return _by_symbols(kernel, question) if question.symbols else _by_members(kernel, question)


def _by_calls(kernel: Kernel, question: _Question) -> KernelFeature:
    wanted = " or ".join(question.called)
    for name in hvo_functions(kernel, question.callers):
        try:
            called = callees(kernel, name)
        except (SymbolError, KernelImageError):  # a name of several, or of no code, is no function of this file
            continue
        except HvolabError as error:
            return KernelFeature(question.name, None, error.what)
        for one in question.called:
            if one in called:
                return KernelFeature(question.name, present=True, found=f"{name} calls {one}")
    return KernelFeature(question.name, present=False, found=f"no function of HVO there calls {wanted}")


def _by_symbols(kernel: Kernel, question: _Question) -> KernelFeature:
    found = [name for name in question.symbols if kernel.symbols.variants(name)]
    wanted = " or ".join(question.symbols)
    return KernelFeature(question.name, bool(found), f"symbol {found[0]}" if found else f"no symbol {wanted}")


def _by_members(kernel: Kernel, question: _Question) -> KernelFeature:
    wanted = " or ".join(f"{struct}.{member}" for struct, member in question.members)
    if kernel.btf is None:
        return KernelFeature(question.name, None, f"no BTF to ask for {wanted}")
    found = [f"{one}.{member}" for one, member in question.members if kernel.types.has_member(one, member)]
    return KernelFeature(question.name, bool(found), f"member {found[0]}" if found else f"no member {wanted}")


def hvo_functions(kernel: Kernel, wanted: AbstractSet[str] = _OPTIMIZING | _OTHERS) -> tuple[str, ...]:
    """The functions of mm/hugetlb_vmemmap.c that the compiler left, by address; `wanted` are their plain names."""
    placed = [
        (address, name)
        for name in _named(kernel)
        if name.partition(".")[0].strip("_") in wanted
        for address in kernel.symbols.all(name)
    ]
    return tuple(dict.fromkeys(name for _, name in sorted(placed)))


def _named(kernel: Kernel) -> set[str]:
    """Names of symbols that may be of HVO, those that mark padding before a function left out."""
    return {name for name in kernel.symbols.containing("vmemmap_") if not name.startswith("__pfx_")}
