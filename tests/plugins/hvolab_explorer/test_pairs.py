# SPDX-License-Identifier: GPL-2.0-only
"""Every two actors that are accepted together: no finding but those of the kernel that docs/explorer.md has."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest

from hvolab.errors import UsageError
from hvolab_explorer.actors.kind import ActorKind
from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.runs.configuration import KINDS, Configuration, parse_actors
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.machine import WorldOptions
from tests.machines import x86_64

pytestmark = pytest.mark.long

#: Actors of one huge page, by the words of a finding that is a fault of 6.12.
FAULTS = {
    "add A, memory-failure A.70": "has no PG_hwpoison",
    "compaction A.70, compaction A.70": "is waited for without end",
    "compaction A.70, dissolve A": "is waited for without end",
    "compaction A.70, memory-failure A.70": "is waited for without end",
    "memory-failure A.70, replace A": "known fault of the release",
    "memory-failure A.70, surplus": "known fault of the release",
    "shrink A, surplus": "invariant 7 (pool)",
}
#: Those that help another one, need another size, or are of an older kernel.
_LEFT_OUT = {"demote", "load-early", "taker-6.11", "walk-ahead"}
_SCHEDULES = Limits(schedules=60)


def text_of(kind: ActorKind, folio: str) -> str:
    """Return an actor of that kind with a folio, or with a tail of it."""
    places = {"": "", "F": f" {folio}", "P": f" {folio}.70"}
    return kind.name + places[kind.arguments[:1]]


def pairs() -> list[str]:
    """Return every two actors, with the same folio and with neighbors."""
    kinds = [kind for kind in KINDS.values() if kind.name not in _LEFT_OUT]
    found = (
        f"{text_of(one, 'A')}, {text_of(other, folio)}"
        for one, other in combinations_with_replacement(kinds, 2)
        for folio in "AB"
    )
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("memory", ["strong", "weak"])
def test_two_actors_have_no_finding_that_is_none_of_the_kernel(memory: str) -> None:
    options, target = WorldOptions(poisoned=True), x86_64()
    accepted, wrong = 0, dict[str, list[str]]()
    for text in pairs():
        made = Configuration("", "", parse_actors(text), split=True, options=options).with_memory(memory)
        try:
            program = made.program(target)
        except UsageError:
            continue
        accepted += 1
        found = list(explore(program, Dpor(), _SCHEDULES).findings)
        if found and not (text in FAULTS and any(FAULTS[text] in one for one in found)):
            wrong[text] = found
    assert wrong == {}
    assert accepted > 200
