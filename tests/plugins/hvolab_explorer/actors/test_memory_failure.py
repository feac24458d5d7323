# SPDX-License-Identifier: GPL-2.0-only
"""Memory errors in folios of a pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab_explorer.exploration import explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.schedule import Replay
from hvolab_explorer.search.dpor import Dpor
from tests.machines import x86_64
from tests.plugins.hvolab_explorer.worlds import alone, optimized, program


def test_a_free_folio_is_dissolved_and_the_frame_is_taken_off_the_free_lists() -> None:
    world = alone("memory-failure A.70")
    machine = world.machine
    pfn = machine.struct_pages.pfn(world.folios[0]) + 70
    assert machine.poisoned == {pfn}
    assert (world.h.nr, optimized(world)) == (0, False)
    assert not machine.frames.is_free(pfn)  # type: ignore[attr-defined]
    assert machine.frames.is_free(pfn + 1)  # type: ignore[attr-defined]
    assert world.pools[0].folio.poisoned(world.folios[0] + 64 * 70)


def test_a_busy_folio_is_tried_twice_and_then_marked() -> None:
    made = program("add A, memory-failure A.70")
    made.restore()
    failure = replace(made.actors()[1], index=0)
    assert made.scheduler.run([failure], Replay([])) == []
    folio = made.world.folios[0]
    assert made.world.pools[0].folio.poisoned(folio)
    assert sum(step.text == "lock hugetlb_lock" for step in made.scheduler.log) == 2


@pytest.mark.slow
@pytest.mark.parametrize("release", [pytest.param("6.12", marks=pytest.mark.long), "7.2"])
def test_next_to_an_addition_of_its_neighbor_it_is_explored_to_the_end(release: str) -> None:
    made = Configuration("", "", parse_actors("add A, memory-failure B.70"), split=True)
    result = explore(made.program(x86_64(release=release)), Dpor())
    assert (result.complete, list(result.findings)) == (True, [])


@pytest.mark.slow
def test_a_mark_in_a_page_that_is_copied_is_lost_in_7_2_too() -> None:
    made = Configuration("", "", parse_actors("add A, memory-failure A.70"), split=True)
    (finding,) = explore(made.program(x86_64(release="7.2")), Dpor()).findings
    assert "has no PG_hwpoison" in finding
