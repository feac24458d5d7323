# SPDX-License-Identifier: GPL-2.0-only
"""Places of actors."""

from __future__ import annotations

from hvolab_explorer.actors.kind import Place
from tests.plugins.hvolab_explorer.worlds import program


def test_a_place_is_a_struct_page_of_a_folio() -> None:
    world = program("optimize B").world
    place = Place(1, 64)
    assert (str(place), str(place.head)) == ("B.64", "B")
    assert place.va(world) == world.folios[1] + 64 * 64
