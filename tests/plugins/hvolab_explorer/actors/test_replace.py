# SPDX-License-Identifier: GPL-2.0-only
"""Free folios that are replaced."""

from __future__ import annotations

import pytest

from hvolab_explorer.exploration import explore
from hvolab_explorer.search.dpor import Dpor
from tests.plugins.hvolab_explorer.worlds import alone, program


@pytest.mark.parametrize("actor", ["replace A", "compaction A.70"])
def test_a_new_folio_takes_the_place_of_a_free_one(actor: str) -> None:
    world = alone(actor)
    (folio,) = world.pools[0].free_folios()
    assert folio != world.folios[0]
    assert world.engines[0].folio_optimized(folio)


def test_a_folio_that_has_left_the_pool_is_not_replaced() -> None:
    world = alone("dissolve A, replace A")
    assert not world.pools[0].live


@pytest.mark.slow
def test_compaction_waits_without_end_for_a_folio_that_it_has_allocated_in_the_place_of_the_old_one() -> None:
    result = explore(program("dissolve A, compaction A.70"), Dpor())
    assert any("waited for without end" in text for text in result.findings), result.verdict
