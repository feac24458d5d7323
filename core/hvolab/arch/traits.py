# SPDX-License-Identifier: GPL-2.0-only
"""Behavior of an architecture that its entries do not show."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class LiveEntryRule(enum.Enum):
    """Rule for replacing a valid entry by another valid one with a different output address."""

    FREE = "a plain store may replace it; the old translation stays usable until it is flushed"
    BREAK_BEFORE_MAKE = "it must be made invalid and flushed first"
    MARK_INVALID = "it must be marked invalid, by another bit than valid, and flushed first"
    FORBIDDEN = "only the architecture's own invalidating instructions may replace it"


class MemoryOrder(enum.Enum):
    """The order in which other CPUs see stores."""

    TSO = "total store order"
    WEAK = "weak"


class EntryUpdateRule(enum.Enum):
    """The kernel's way to replace an entry of the vmemmap."""

    STORE = "by a plain store"
    CLEAR_ACCESSED_AND_EXCHANGE = "its accessed flag is cleared, the page flushed, the new entry exchanged for the old"


@dataclass(frozen=True)
class Traits:
    """Behavior of an architecture.

    live_entries                  rule for replacing a live entry
    memory_order                  order in which stores become visible
    flush_all_effective           whether flush_tlb_all() really flushes
    compare_and_swap_needs_write  whether a compare-and-swap that fails still needs write permission
    uncached_without_accessed     whether no TLB holds an entry whose accessed flag is clear
    live_size_change              whether a live leaf may become a table that maps the same, and back
    entry_update                  the kernel's way to replace entries of the vmemmap
    bootmem_info                  whether freeing a boot page goes through its bootmem_info (put_page_bootmem())
    source                        manual section or kernel file
    """

    live_entries: LiveEntryRule
    memory_order: MemoryOrder
    flush_all_effective: bool = True
    compare_and_swap_needs_write: bool = True
    uncached_without_accessed: bool = False
    live_size_change: bool = False
    entry_update: EntryUpdateRule = EntryUpdateRule.STORE
    bootmem_info: bool = False
    source: str = ""

    @property
    def forbids(self) -> str:
        """Rule for live entries that the kernel's own way of replacing them breaks, in words; empty if it keeps it."""
        plain = self.entry_update is EntryUpdateRule.STORE
        return "" if self.live_entries is LiveEntryRule.FREE or not plain else self.live_entries.value
