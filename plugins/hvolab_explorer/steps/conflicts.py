# SPDX-License-Identifier: GPL-2.0-only
"""Conflicts among many footprints, as sets: a footprint is a bit, and a set of footprints a number."""

from __future__ import annotations

from hvolab_explorer.steps.footprint import RACE, Footprint


class Known:
    """A footprint, and what it was compared with.

    bit      its bit
    compared footprints that it was compared with
    racing   those of them that race with it
    ordered  those that race with it, or that wait with it
    """

    __slots__ = ("_footprint", "bit", "compared", "ordered", "racing")

    def __init__(self, footprint: Footprint, bit: int) -> None:
        self._footprint = footprint
        self.bit = bit
        self.compared = self.racing = self.ordered = 0

    def compare(self, others: list[Footprint], those: int) -> None:
        """Compare it with some of the footprints, given by bits, each of which is the place of one in ``others``."""
        new, whole = those & ~self.compared, self._footprint.whole
        self.compared |= new
        while new:
            bit = new & -new
            new ^= bit
            other = others[bit.bit_length() - 1]
            if whole.isdisjoint(other.whole):
                continue
            relation = self._footprint.relation(other)
            if relation & RACE:
                self.racing |= bit
            if relation:
                self.ordered |= bit


class Conflicts:
    """Footprints, each of which has a bit."""

    def __init__(self) -> None:
        self.footprints: list[Footprint] = []
        self._known: dict[Footprint, Known] = {}

    def of(self, footprint: Footprint) -> Known:
        """Return what is known of a footprint; a new one gets a bit."""
        found = self._known.get(footprint)
        if found is None:
            found = self._known[footprint] = Known(footprint, 1 << len(self.footprints))
            self.footprints.append(footprint)
        return found
