# SPDX-License-Identifier: GPL-2.0-only
"""Traits: the defaults of an ordinary architecture."""

from __future__ import annotations

from hvolab.arch import EntryUpdateRule, LiveEntryRule, MemoryOrder, Traits


def test_flushes_flush_and_entries_are_stored_unless_declared_otherwise() -> None:
    traits = Traits(LiveEntryRule.FREE, MemoryOrder.TSO)
    assert traits.flush_all_effective
    assert traits.compare_and_swap_needs_write
    assert traits.entry_update is EntryUpdateRule.STORE
    assert not any((traits.uncached_without_accessed, traits.live_size_change, traits.bootmem_info))
