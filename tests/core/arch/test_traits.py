# SPDX-License-Identifier: GPL-2.0-only
"""Traits: the defaults of an ordinary architecture."""

from __future__ import annotations

from dataclasses import replace

from hvolab.arch import EntryUpdateRule, LiveEntryRule, MemoryOrder, Traits


def test_flushes_flush_and_entries_are_stored_unless_declared_otherwise() -> None:
    traits = Traits(LiveEntryRule.FREE, MemoryOrder.TSO)
    assert traits.flush_all_effective
    assert traits.compare_and_swap_needs_write
    assert traits.entry_update is EntryUpdateRule.STORE
    assert not any((traits.uncached_without_accessed, traits.live_size_change, traits.bootmem_info))


def test_a_rule_for_live_entries_forbids_plain_stores_but_not_the_way_that_keeps_it() -> None:
    assert not Traits(LiveEntryRule.FREE, MemoryOrder.TSO).forbids
    traits = Traits(LiveEntryRule.BREAK_BEFORE_MAKE, MemoryOrder.WEAK)
    assert traits.forbids == "it must be made invalid and flushed first"
    assert not replace(traits, entry_update=EntryUpdateRule.CLEAR_ACCESSED_AND_EXCHANGE).forbids
