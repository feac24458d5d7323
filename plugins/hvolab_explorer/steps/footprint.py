# SPDX-License-Identifier: GPL-2.0-only
"""Footprint of one step: everything that decides what it does, and everything that it changes.

Two steps of different actors commute unless their footprints conflict. A token names a piece of state: an int is the
word of memory at that index, a tuple anything else (a TLB entry, a lock, a frame, a counter).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

Token = Hashable


@dataclass(frozen=True, slots=True)
class Footprint:
    """Tokens of one step.

    reads     read
    writes    written
    adds      changed by an operation that commutes with itself: a counter, a flush
    releases  released, so that a step that awaits it may go on: ordered before that step, and never after it
    awaits    awaited
    whole     all of them
    """

    reads: frozenset[Token]
    writes: frozenset[Token]
    adds: frozenset[Token]
    releases: frozenset[Token]
    awaits: frozenset[Token]
    whole: frozenset[Token]

    @staticmethod
    def of(
        reads: Iterable[Token] = (),
        writes: Iterable[Token] = (),
        adds: Iterable[Token] = (),
        releases: Iterable[Token] = (),
        awaits: Iterable[Token] = (),
    ) -> Footprint:
        """Return the footprint of these tokens."""
        r, w, a, f, g = map(frozenset, (reads, writes, adds, releases, awaits))
        return Footprint(r, w, a, f, g, r | w | a | f | g)

    def __or__(self, other: Footprint) -> Footprint:
        """Return the footprint of a step that is either of the two."""
        names = ("reads", "writes", "adds", "releases", "awaits")
        return Footprint.of(*(getattr(self, name) | getattr(other, name) for name in names))

    def races(self, other: Footprint) -> bool:
        """Return whether the order of two steps, both of which may go first, can matter."""
        if self.whole.isdisjoint(other.whole):
            return False
        mine, yours = self, other
        return not (
            mine.writes.isdisjoint(yours.writes)
            and mine.writes.isdisjoint(yours.reads)
            and mine.writes.isdisjoint(yours.adds)
            and mine.reads.isdisjoint(yours.writes)
            and mine.reads.isdisjoint(yours.adds)
            and mine.adds.isdisjoint(yours.writes)
            and mine.adds.isdisjoint(yours.reads)
        )

    def waits(self, other: Footprint) -> bool:
        """Return whether one of the two steps releases what the other awaits."""
        if self.whole.isdisjoint(other.whole):
            return False
        return not (self.releases.isdisjoint(other.awaits) and other.releases.isdisjoint(self.awaits))

    def conflicts(self, other: Footprint) -> bool:
        """Return whether the two steps are ordered by what they do."""
        return self.races(other) or self.waits(other)


class FootprintBuilder:
    """Collector of the tokens of the step under way."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin a step."""
        self.reads: set[Token] = set()
        self.writes: set[Token] = set()
        self.adds: set[Token] = set()
        self.releases: set[Token] = set()
        self.awaits: set[Token] = set()

    def build(self) -> Footprint:
        """Return what was collected."""
        return Footprint.of(self.reads, self.writes, self.adds, self.releases, self.awaits)
