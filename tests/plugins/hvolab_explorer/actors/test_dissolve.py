# SPDX-License-Identifier: GPL-2.0-only
"""Folios that are dissolved."""

from __future__ import annotations

import pytest

from tests.plugins.hvolab_explorer.worlds import alone, explored


def test_a_folio_leaves_the_pool() -> None:
    world = alone("dissolve A B")
    assert (world.h.nr, world.h.free, world.h.max_huge_pages) == (0, 0, 0)


@pytest.mark.slow
def test_two_cpus_dissolve_two_folios() -> None:
    result = explored("dissolve A, dissolve B")
    assert (result.complete, list(result.findings)) == (True, [])
