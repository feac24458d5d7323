# SPDX-License-Identifier: GPL-2.0-only
"""A resolved target: the entries that it makes, one at a time and in runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arch import Access, EntryKind, PgprotRole
from hvolab.errors import EncodingError
from tests.made_up import MADE_UP

TARGET = MADE_UP.select(profile="strict")
KERNEL, RO, LARGE = PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE
VALID_LEAF, VALID_TABLE = 1 << 63 | 0b10 << 61, 1 << 63 | 0b01 << 61


def test_an_entry_is_address_and_protection() -> None:
    assert TARGET.leaf("last", 0x90001, KERNEL) == VALID_LEAF | 0x90001 << 30 | 0b11
    assert TARGET.leaf("last", 0x90001, RO) == VALID_LEAF | 0x90001 << 30 | 0b111
    assert TARGET.table("root", 0x90001) == VALID_TABLE | 0x90001 << 30
    assert TARGET.leaf("root", 1 << 24, LARGE) == VALID_LEAF | 1 << 4 | 0b11


@pytest.mark.parametrize(
    ("level", "pfn"), [("root", 128), ("middle", 127), ("last", 1 << 30)], ids=["misaligned", "odd", "beyond the PA"]
)
def test_a_frame_that_the_level_cannot_map_is_refused(level: str, pfn: int) -> None:
    with pytest.raises(EncodingError, match=f"PFN {pfn:#x} does not fit in a leaf entry at {level}|not legal"):
        TARGET.leaf(level, pfn, LARGE)


def test_a_table_cannot_stand_at_the_last_level() -> None:
    with pytest.raises(EncodingError, match="an entry at last cannot be a table"):
        TARGET.table("last", 1)


@given(st.lists(st.integers(0, (1 << 30) - 1), max_size=30), st.sampled_from([KERNEL, RO]))
def test_runs_of_entries_are_what_single_ones_are(pfns: list[int], role: PgprotRole) -> None:
    raws = TARGET.page_entries(np.array(pfns, dtype=np.int64), role)
    assert raws.tolist() == [TARGET.leaf("last", pfn, role) for pfn in pfns]
    assert TARGET.page_frames(raws).tolist() == pfns


def test_an_entry_is_described_decoded_or_with_the_rule_that_it_breaks() -> None:
    assert TARGET.describe("last", TARGET.leaf("last", 0x90001, KERNEL)).endswith(
        "(last leaf pfn=0x90001 R|A|TYPE=0x2|VALID)"
    )
    assert "what is writable must be readable" in TARGET.describe("last", VALID_LEAF)
    assert TARGET.decode("last", 0).kind is EntryKind.NONE


def test_tails_fault_only_where_the_profile_protects_them() -> None:
    assert TARGET.tails_fault
    assert not MADE_UP.select(profile="linux").tails_fault


def test_accesses_that_a_leaf_allows() -> None:
    table = TARGET.table("middle", 0x90002)
    assert TARGET.allowed(TARGET.leaf("last", 0x90001, KERNEL), (table,)) == Access.READ | Access.WRITE
    assert TARGET.allowed(TARGET.leaf("last", 0x90001, RO), (table,)) == Access.READ | Access.EXECUTE
    assert TARGET.allowed(TARGET.leaf("last", 0x90001, KERNEL), (table | 1 << 3,)) == Access.READ


def test_the_table_that_an_entry_points_to() -> None:
    assert TARGET.table_frame("middle", TARGET.table("middle", 0x90002)) == 0x90002
    assert TARGET.table_frame("last", TARGET.leaf("last", 0x90002, KERNEL)) is None
    assert TARGET.table_frame("middle", 0) is None
