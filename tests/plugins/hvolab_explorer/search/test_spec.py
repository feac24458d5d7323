# SPDX-License-Identifier: GPL-2.0-only
"""Searches by name."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab_explorer.search.bounded import Bounded
from hvolab_explorer.search.spec import SEARCHES, SearchSpec


def test_each_name_makes_a_new_search() -> None:
    for kind in SEARCHES:
        one, other = (SearchSpec(kind).make() for _ in range(2))
        assert type(one) is type(other)
        assert one is not other


def test_a_bound_is_that_of_the_search() -> None:
    search = SearchSpec("bounded", bound=7).make()
    assert isinstance(search, Bounded)
    assert search.bound == 7


def test_an_unknown_name_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageError, match="did you mean 'bounded'"):
        SearchSpec("bound").make()
