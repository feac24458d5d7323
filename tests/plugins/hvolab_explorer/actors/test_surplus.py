# SPDX-License-Identifier: GPL-2.0-only
"""Surplus folios."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone


def test_a_surplus_folio_comes_and_goes() -> None:
    world = alone("surplus")
    assert (world.h.nr, world.h.surplus, world.machine.key) == (1, 0, 0)
