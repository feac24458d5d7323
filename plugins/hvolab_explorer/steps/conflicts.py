# SPDX-License-Identifier: GPL-2.0-only
"""Conflicts among many footprints, as sets: a footprint is a bit, and a set of footprints a number."""

from __future__ import annotations

from hvolab_explorer.steps.footprint import RACE, Footprint, Token


class Known:
    """A footprint, and its relations to others.

    bit      its bit
    near     footprints with a token of it, of which it was not found yet how they relate to it
    racing   footprints that race with it
    ordered  those that race with it, or that wait with it
    """

    __slots__ = ("_footprint", "bit", "near", "ordered", "racing")

    def __init__(self, footprint: Footprint, bit: int, near: int) -> None:
        self._footprint = footprint
        self.bit, self.near = bit, near
        self.racing = self.ordered = 0

    def compare(self, others: list[Footprint], those: int) -> None:
        """Compare it with some of those near it, given by bits, each of which is the place of one in ``others``."""
        self.near &= ~those
        while those:
            bit = those & -those
            those ^= bit
            relation = self._footprint.relation(others[bit.bit_length() - 1])
            if relation & RACE:
                self.racing |= bit
            if relation:
                self.ordered |= bit


class Conflicts:
    """Footprints, each of which has a bit."""

    def __init__(self) -> None:
        self.footprints: list[Footprint] = []
        self._known: dict[Footprint, Known] = {}
        #: Footprints with a token.
        self._having: dict[Token, int] = {}

    def of(self, footprint: Footprint) -> Known:
        """Return what is known of a footprint; a new one gets a bit."""
        found = self._known.get(footprint)
        if found is None:
            found = self._known[footprint] = self._add(footprint)
        return found

    def _add(self, footprint: Footprint) -> Known:
        bit, near, having = 1 << len(self.footprints), 0, self._having
        self.footprints.append(footprint)
        shared = footprint.whole & having.keys()
        for token in shared:
            near |= having[token]
            having[token] |= bit
        having.update(dict.fromkeys(footprint.whole - shared, bit))
        left = near
        while left:
            other = left & -left
            left ^= other
            self._known[self.footprints[other.bit_length() - 1]].near |= bit
        return Known(footprint, bit, near | bit)
