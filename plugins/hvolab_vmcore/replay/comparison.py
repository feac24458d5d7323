# SPDX-License-Identifier: GPL-2.0-only
"""Result of comparing an engine with a kernel: differences, and omissions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from hvolab.serialize import Hex

#: Differences that are listed; the others are only counted.
LARGEST_LIST = 200

_Place = TypeVar("_Place")


@dataclass(frozen=True)
class ReplayDifference:
    """One difference between the engine's result and the kernel's.

    kind    stable name: ``entry.kind``, ``entry.flags``, ``entry.frame``, ``entry.kept``, ``struct-page.…``
    text    what differs
    va      VA that the entry maps, or of the word in the struct page
    engine  the engine's entry or word, in hex and decoded
    kernel  the kernel's
    """

    kind: str
    text: str
    va: Hex
    engine: str
    kernel: str


@dataclass(frozen=True)
class Omission:
    """Part that was not compared: what, how much of it (0: not countable), and why."""

    what: str
    count: int
    why: str


@dataclass
class ReplayComparison:
    """Result of one comparison.

    compared     number of entries or struct pages
    found        number of differences
    differences  the first of them
    left_out     omissions
    """

    compared: int = 0
    found: int = 0
    differences: list[ReplayDifference] = field(default_factory=list)
    left_out: list[Omission] = field(default_factory=list)

    def add_each(self, places: Iterable[_Place], describe: Callable[[_Place], ReplayDifference]) -> None:
        """Record one difference for each place; ``describe`` is called only for those that are listed."""
        for place in places:
            self.found += 1
            if len(self.differences) < LARGEST_LIST:
                self.differences.append(describe(place))

    def leave_out(self, what: str, count: int, why: str) -> None:
        """Record an omission, if ``count`` is not 0."""
        if count:
            self.left_out.append(Omission(what, count, why))
