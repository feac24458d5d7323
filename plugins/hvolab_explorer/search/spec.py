# SPDX-License-Identifier: GPL-2.0-only
"""Searches by name, as options and other processes name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hvolab.errors import UsageError, choice_hint
from hvolab_explorer.search.bounded import Bounded
from hvolab_explorer.search.decisions import Search
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.search.pct import Pct
from hvolab_explorer.search.portfolio import Portfolio
from hvolab_explorer.search.random_walk import RandomWalk


@dataclass(frozen=True)
class SearchSpec:
    """Description of a search.

    kind   name of the search
    bound  most preemptions of a bounded search, changes of priority of a schedule by PCT
    seed   seed of random schedules
    """

    kind: str = "dpor"
    bound: int = 2
    seed: int = 0

    def make(self) -> Search:
        """Return a new search; raises UsageError for an unknown kind."""
        if self.kind not in SEARCHES:
            raise UsageError(f"unknown search {self.kind!r}", hint=choice_hint(self.kind, SEARCHES))
        return SEARCHES[self.kind](self)


def _portfolio(spec: SearchSpec) -> Search:
    return Portfolio([Dpor(), Bounded(spec.bound), Pct(spec.bound, spec.seed), RandomWalk(spec.seed)])


#: Makers of searches, by name.
SEARCHES: dict[str, Callable[[SearchSpec], Search]] = {
    "dpor": lambda _: Dpor(),
    "bounded": lambda spec: Bounded(spec.bound),
    "pct": lambda spec: Pct(spec.bound, spec.seed),
    "random": lambda spec: RandomWalk(spec.seed),
    "portfolio": _portfolio,
}
