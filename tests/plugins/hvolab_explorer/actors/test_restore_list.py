# SPDX-License-Identifier: GPL-2.0-only
"""The actor of `restore-list`."""

from __future__ import annotations

import pytest

from tests.plugins.hvolab_explorer.worlds import alone, optimized


@pytest.mark.slow
def test_it_restores_a_list() -> None:
    world = alone("restore-list A B")
    assert not optimized(world, 0)
    assert not optimized(world, 1)
    assert world.check() == []
