# SPDX-License-Identifier: GPL-2.0-only
"""Footprint of one step: everything that decides what it does, and everything that it changes.

Two steps of different actors commute unless their footprints conflict. A token names a piece of state: an int is the
word of memory at that index, a tuple anything else (a TLB entry, a lock, a frame, a counter).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

Token = Hashable

#: Relations of two footprints, as bits: the order of the steps can matter, one releases what the other awaits.
RACE, WAIT = 1, 2
#: Relations and footprints that are remembered, at most.
_REMEMBERED = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class Footprint:
    """Tokens of one step; two of one builder are one object if their tokens are the same.

    reads      read
    writes     written
    adds       changed by an operation that commutes with itself: a counter, a flush
    releases   released, so that a step that awaits it may go on: ordered before that step, and never after it
    awaits     awaited
    whole      all of them
    relations  known relations to other footprints
    """

    reads: frozenset[Token]
    writes: frozenset[Token]
    adds: frozenset[Token]
    releases: frozenset[Token]
    awaits: frozenset[Token]
    whole: frozenset[Token]
    relations: dict[Footprint, int] = field(default_factory=dict, repr=False)

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
        if self is other:
            return self
        names = ("reads", "writes", "adds", "releases", "awaits")
        return Footprint.of(*(getattr(self, name) | getattr(other, name) for name in names))

    def relation(self, other: Footprint) -> int:
        """Return RACE, WAIT, both, or 0: the two steps commute."""
        found = self.relations.get(other)
        if found is None:
            found = self._relation(other)
            for one, another in (self, other), (other, self):
                if len(one.relations) >= _REMEMBERED:
                    one.relations.clear()
                one.relations[another] = found
        return found

    def _relation(self, other: Footprint) -> int:
        if self.whole.isdisjoint(other.whole):
            return 0
        mine, yours = self, other
        races = not (
            mine.writes.isdisjoint(yours.writes)
            and mine.writes.isdisjoint(yours.reads)
            and mine.writes.isdisjoint(yours.adds)
            and mine.reads.isdisjoint(yours.writes)
            and mine.reads.isdisjoint(yours.adds)
            and mine.adds.isdisjoint(yours.writes)
            and mine.adds.isdisjoint(yours.reads)
        )
        waits = not (mine.releases.isdisjoint(yours.awaits) and yours.releases.isdisjoint(mine.awaits))
        return (RACE if races else 0) | (WAIT if waits else 0)

    def races(self, other: Footprint) -> bool:
        """Return whether the order of two steps, both of which may go first, can matter."""
        return bool(self.relation(other) & RACE)

    def waits(self, other: Footprint) -> bool:
        """Return whether one of the two steps releases what the other awaits."""
        return bool(self.relation(other) & WAIT)

    def conflicts(self, other: Footprint) -> bool:
        """Return whether the two steps are ordered by what they do."""
        return self.relation(other) != 0


class Tokens:
    """Tokens of one kind of the step under way, and sets of tokens."""

    def __init__(self, parts: list[tuple[Any, ...]]) -> None:
        self._parts = parts

    def __contains__(self, token: Token) -> bool:
        """Return whether a token was added by itself."""
        return (self, token) in self._parts

    def add(self, token: Token) -> None:
        """Add a token."""
        self._parts.append((self, token))

    def update(self, tokens: Iterable[Token]) -> None:
        """Add a set of tokens."""
        self._parts.append((self, None, frozenset(tokens)))


class FootprintBuilder:
    """Collector of the tokens of the step under way.

    Most steps of one schedule are in others too, so footprints are looked up by what was collected.

    touches  functions with their arguments, which add tokens that depend on the arguments alone: each is called once;
             the tokens of :class:`Tokens` are among them. They are cleared where a step begins
    """

    def __init__(self) -> None:
        self.touches: list[tuple[Any, ...]] = []
        self._kinds = tuple(Tokens(self.touches) for _ in range(5))
        self.reads, self.writes, self.adds, self.releases, self.awaits = self._kinds
        self._by_parts: dict[object, Footprint] = {}
        self._by_tokens: dict[object, Footprint] = {}

    def build(self) -> Footprint:
        """Return what was collected."""
        parts = tuple(self.touches)
        found = self._by_parts.get(parts)
        if found is None:
            found = self._made()
            _remember(self._by_parts, parts, found)
        return found

    def _made(self) -> Footprint:
        """Return the footprint of all tokens; those that functions add are not left."""
        size, touches = len(self.touches), self.touches
        tokens: dict[Any, set[Token]] = {kind: set() for kind in self._kinds}
        for first, *arguments in touches:  # grows meanwhile
            if first not in tokens:
                first(*arguments)
            elif len(arguments) == 1:
                tokens[first].add(arguments[0])
            else:
                tokens[first].update(arguments[1])
        del touches[size:]
        key = tuple(map(frozenset, tokens.values()))
        found = self._by_tokens.get(key)
        if found is None:
            found = Footprint.of(*key)
            _remember(self._by_tokens, key, found)
        return found


def _remember(known: dict[object, Footprint], key: object, footprint: Footprint) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = footprint
