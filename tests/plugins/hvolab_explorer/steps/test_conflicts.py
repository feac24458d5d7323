# SPDX-License-Identifier: GPL-2.0-only
"""Sets of footprints that conflict: those of the relations of each pair."""

from __future__ import annotations

from itertools import product

from hvolab_explorer.steps.conflicts import Conflicts
from hvolab_explorer.steps.footprint import Footprint

KINDS = ("reads", "writes", "adds", "releases", "awaits")
FOOTPRINTS = [Footprint.of(**{one: [1], other: [2]}) for one, other in product(KINDS, repeat=2) if one != other]


def test_sets_are_those_of_the_relations_of_each_pair() -> None:
    conflicts = Conflicts()
    bits = [conflicts.of(footprint).bit for footprint in FOOTPRINTS]
    assert bits == [1 << number for number in range(len(FOOTPRINTS))]
    for footprint in FOOTPRINTS:
        known = conflicts.of(footprint)
        assert not known.near  # those near it are not looked for when one is added: thousands may be
        assert conflicts.related(known) == known.near
        known.compare(conflicts.footprints, known.near & (bits[0] | bits[3]))
        assert not known.near & (bits[0] | bits[3])
        known.compare(conflicts.footprints, known.near)
        pairs = list(zip(FOOTPRINTS, bits, strict=True))
        assert known.racing == sum(bit for other, bit in pairs if footprint.races(other))
        assert known.ordered == sum(bit for other, bit in pairs if footprint.conflicts(other))
        assert known.racing != known.ordered or not footprint.releases | footprint.awaits
