# SPDX-License-Identifier: GPL-2.0-only
"""Reads of struct pages without a reference."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab_explorer.actors.compound import find_head, fixed_fake_head, require_fake_heads
from hvolab_explorer.world.world import World, WorldSpec
from tests.machines import x86_64
from tests.plugins.hvolab_explorer.worlds import alone


@pytest.mark.parametrize("release", ["6.12", "7.2"])
def test_every_struct_page_of_a_folio_leads_to_its_head_optimized_or_not(release: str) -> None:
    for actors in ("optimize A", "restore A"):
        world = alone(actors, release=release)
        for page in (0, 1, 7, 63, 64, 65, 128, 511):
            assert find_head(world, 0, world.folios[0] + 64 * page) == world.folios[0]


def test_an_alias_of_the_head_is_a_fake_head() -> None:
    world = alone("optimize A")
    assert fixed_fake_head(world, 0, world.folios[0] + 64 * 64) == world.folios[0]
    assert fixed_fake_head(world, 0, world.folios[0] + 64 * 65) == world.folios[0] + 64 * 65


def test_releases_without_fake_heads_are_refused() -> None:
    world = World(x86_64(release="7.2"), WorldSpec(folios=1))
    with pytest.raises(UsageError, match="no fake heads"):
        require_fake_heads(world)
