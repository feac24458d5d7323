# SPDX-License-Identifier: GPL-2.0-only
"""Reference values: an example in words."""

from __future__ import annotations

from hvolab.arch import EntryKind, Example


def test_an_example_names_entry_level_mode_and_source() -> None:
    example = Example("4-level", "pte", 0x54E4063, EntryKind.LEAF, 0x54E4, source="a page-table dump")
    assert str(example) == "0x00000000054e4063 at pte of 4-level, from a page-table dump"
    assert str(Example("4-level", "pte", 0, EntryKind.NONE)).endswith("from an undeclared source")
