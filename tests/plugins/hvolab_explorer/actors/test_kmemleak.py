# SPDX-License-Identifier: GPL-2.0-only
"""The scanner of kmemleak."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab_explorer.runs.configuration import KINDS, parse_actors
from hvolab_explorer.world.world import World, WorldSpec
from tests.machines import x86_64
from tests.plugins.hvolab_explorer.worlds import explored


def test_a_page_is_read_before_it_is_freed_or_not_at_all() -> None:
    result = explored("optimize A, kmemleak A.64 A.200")
    assert (result.complete, list(result.findings)) == (True, [])
    assert len(result.classes) > 1


def test_a_world_without_objects_is_refused() -> None:
    with pytest.raises(UsageError, match="no objects"):
        KINDS["kmemleak"](World(x86_64(), WorldSpec()), 0, parse_actors("kmemleak A")[0].places)
