# SPDX-License-Identifier: GPL-2.0-only
"""Features by which a kernel's HVO is identified, with the question that an image answers.

Kernel: mm/hugetlb_vmemmap.c and its callers, v6.1, v6.12, v7.2.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Evidence(enum.Enum):
    """The part of a kernel image that answers a question."""

    SYMBOL = "symbol"  #: a symbol of that name
    MEMBER = "member"  #: a member of a type, as ``zone.vmemmap_tails``
    CALL = "call"  #: a call of that function by a function of HVO
    OPTIMIZING_CALL = "call by a function that optimizes"  #: the same, by one of those that optimize


@dataclass(frozen=True)
class Question:
    """A question that an image answers: whether one of the names is there.

    evidence  the part of the image that answers it
    names     symbols, members or functions; one of them is enough
    """

    evidence: Evidence
    names: tuple[str, ...]


def _symbol(*names: str) -> Question:
    return Question(Evidence.SYMBOL, names)


def _member(*names: str) -> Question:
    return Question(Evidence.MEMBER, names)


class KernelFeature(enum.Enum):
    """A feature of a kernel's HVO; its value is the name in output."""

    FOLIOS = "optimizes folios"
    HEADS = "optimizes head pages, one by one"
    BATCHES = "batches"
    MOVES_HEAD = "head moves to a new frame"
    SHARES_TAIL_PAGE = "tails share one page per zone and order"
    NAMES_HEAD_AND_TAIL = "walk names head and tail page"
    WALK_FLAGS = "flags in the walk"
    WAITS_FOR_RCU = "waits for RCU"
    STATIC_KEY = "static key"
    COUNTERS = "memmap counters"
    BOOT_MEMMAP = "boot memmap is registered"
    BOOT_BATCHES = "batches of boot folios"
    SWITCH = "switch"

    @property
    def question(self) -> Question:
        """The question that an image answers."""
        return _QUESTIONS[self]


_QUESTIONS = {
    KernelFeature.FOLIOS: _symbol("hugetlb_vmemmap_optimize_folio", "hugetlb_vmemmap_optimize_folios"),
    KernelFeature.HEADS: _symbol("hugetlb_vmemmap_optimize"),
    KernelFeature.BATCHES: _symbol("hugetlb_vmemmap_optimize_folios"),
    KernelFeature.MOVES_HEAD: Question(Evidence.OPTIMIZING_CALL, ("copy_page", "memcpy", "__memcpy")),
    KernelFeature.SHARES_TAIL_PAGE: _member("zone.vmemmap_tails"),
    KernelFeature.NAMES_HEAD_AND_TAIL: _member("vmemmap_remap_walk.vmemmap_tail"),
    KernelFeature.WALK_FLAGS: _member("vmemmap_remap_walk.flags"),
    KernelFeature.WAITS_FOR_RCU: Question(Evidence.CALL, ("synchronize_rcu",)),
    KernelFeature.STATIC_KEY: _symbol("hugetlb_optimize_vmemmap_key"),
    KernelFeature.COUNTERS: _symbol("memmap_pages_add", "memmap_boot_pages_add"),
    KernelFeature.BOOT_MEMMAP: _symbol("put_page_bootmem"),
    KernelFeature.BOOT_BATCHES: _symbol("hugetlb_vmemmap_optimize_bootmem_folios", "__hugetlb_vmemmap_optimize_folios"),
    KernelFeature.SWITCH: _symbol("vmemmap_optimize_enabled"),
}
