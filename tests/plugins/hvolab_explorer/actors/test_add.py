# SPDX-License-Identifier: GPL-2.0-only
"""Folios that are added to a pool."""

from __future__ import annotations

import pytest

from hvolab_explorer.exploration import explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.search.dpor import Dpor
from tests.machines import x86_64
from tests.plugins.hvolab_explorer.worlds import alone, optimized, program


def test_new_folios_are_in_no_list_and_then_free_and_optimized() -> None:
    before = program("add A B").world
    assert (before.h.nr, before.h.free) == (0, 0)
    world = alone("add A B")
    assert (world.h.nr, world.h.free, world.h.max_huge_pages) == (2, 2, 2)
    assert optimized(world, 0)
    assert optimized(world, 1)


@pytest.mark.parametrize("release", ["6.1", "6.12", "7.2"])
def test_a_folio_is_added_without_a_finding_in_each_release(release: str) -> None:
    result = explore(Configuration("", "", parse_actors("add A")).program(x86_64(release=release)), Dpor())
    assert (result.complete, list(result.findings)) == (True, [])
