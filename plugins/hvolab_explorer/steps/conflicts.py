# SPDX-License-Identifier: GPL-2.0-only
"""Conflicts among many footprints, as sets: a footprint is a bit, and a set of footprints a number."""

from __future__ import annotations

from hvolab_explorer.steps.footprint import RACE, Footprint, Token


class Known:
    """A footprint, and its relations to others.

    bit      its bit
    near     footprints with a token of it, of which it was not found yet how they relate to it; see `Conflicts.related`
    number   number of all footprints when ``near`` was found
    compared footprints of which it was found how they relate to it
    racing   footprints that race with it
    ordered  those that race with it, or that wait with it
    """

    __slots__ = ("bit", "compared", "footprint", "near", "number", "ordered", "racing")

    def __init__(self, footprint: Footprint, bit: int) -> None:
        self.footprint = footprint
        self.bit = bit
        self.near = self.number = self.compared = self.racing = self.ordered = 0

    def compare(self, others: list[Footprint], those: int) -> None:
        """Compare it with some of those near it, given by bits, each of which is the place of one in ``others``."""
        self.near &= ~those
        self.compared |= those
        while those:
            bit = those & -those
            those ^= bit
            relation = self.footprint.relation(others[bit.bit_length() - 1])
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

    def related(self, known: Known) -> int:
        """Return the footprints that are near one, and those that are ordered with it."""
        if known.number != len(self.footprints):
            self._look(known)
        return known.near | known.ordered

    def _add(self, footprint: Footprint) -> Known:
        bit, having = 1 << len(self.footprints), self._having
        self.footprints.append(footprint)
        for token in footprint.whole:
            having[token] = having.get(token, 0) | bit
        return Known(footprint, bit)

    def _look(self, known: Known) -> None:
        """Find the footprints near one; not when another is added, as thousands may have a token of it."""
        near, having = 0, self._having
        for token in known.footprint.whole:
            near |= having[token]
        known.near, known.number = near & ~known.compared, len(self.footprints)
