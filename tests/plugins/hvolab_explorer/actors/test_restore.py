# SPDX-License-Identifier: GPL-2.0-only
"""The actor of `restore`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone, optimized


def test_it_restores_folios() -> None:
    world = alone("restore A")
    assert not optimized(world)
    assert world.check() == []
