# SPDX-License-Identifier: GPL-2.0-only
"""What the MMU demands: of the leaf, and of every table on the way to it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hvolab.arch import Access, Match, Permission
from tests.made_up import MADE_UP

MMU = MADE_UP.mmu
ALL = Access.READ | Access.WRITE | Access.EXECUTE


def test_nothing_demanded_allows_everything() -> None:
    free = replace(MMU, read=Permission(), write=Permission(), execute=Permission())
    assert free.allowed(0, (0, 0)) == ALL


def test_one_table_on_the_way_can_forbid() -> None:
    locked = 1 << 3
    assert MMU.allowed(1, (0, 0)) & Access.WRITE
    assert not MMU.allowed(1, (locked, 0)) & Access.WRITE
    assert not MMU.allowed(1, (0, locked)) & Access.WRITE
    assert MMU.allowed(1, (0, locked)) & Access.READ


def test_whose_page_it_is_is_asked_beside_what_may_be_done() -> None:
    user = 1 << 3
    rules = replace(MMU, execute=Permission(leaf=Match(1, 1), privilege=Match(user, 0)))
    assert rules.allowed(1, ()) & Access.EXECUTE
    assert not rules.allowed(1 | user, ()) & Access.EXECUTE
    assert not rules.allowed(0, ()) & Access.EXECUTE


def test_an_alternative_is_enough_and_may_ask_for_one_table() -> None:
    user, takes_back = 1 << 3, 1 << 4
    other = Permission(leaf=Match(1, 1), some_table=Match(takes_back, takes_back))
    rules = replace(MMU, execute=Permission(Match(1, 1), privilege=Match(user, 0), alternatives=(other,)))
    assert not rules.allowed(1 | user, (0, 0)) & Access.EXECUTE
    assert rules.allowed(1 | user, (0, takes_back)) & Access.EXECUTE
    assert rules.allowed(1, (0, 0)) & Access.EXECUTE
    assert not rules.allowed(user, (takes_back, 0)) & Access.EXECUTE


@given(leaf=st.integers(0, 15), tables=st.lists(st.integers(0, 15), max_size=3))
def test_each_access_is_judged_by_its_own_patterns(leaf: int, tables: list[int]) -> None:
    rules = replace(
        MMU,
        read=Permission(leaf=Match(1, 1)),
        write=Permission(leaf=Match(2, 0), tables=Match(2, 0)),
        execute=Permission(tables=Match(4, 4)),
    )
    allowed = rules.allowed(leaf, tuple(tables))
    assert bool(allowed & Access.READ) is bool(leaf & 1)
    assert bool(allowed & Access.WRITE) is (not leaf & 2 and not any(table & 2 for table in tables))
    assert bool(allowed & Access.EXECUTE) is all(table & 4 for table in tables)
