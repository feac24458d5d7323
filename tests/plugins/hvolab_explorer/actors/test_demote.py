# SPDX-License-Identifier: GPL-2.0-only
"""Folios that are demoted."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_explorer.exploration import explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.search.dpor import Dpor
from tests.machines import x86_64


@pytest.mark.slow
def test_a_folio_is_split_into_folios_that_are_optimized() -> None:
    made = Configuration("", "", parse_actors("demote A"), split=True)
    program = made.program(registry().architecture("arm64").select())
    result = explore(program, Dpor())
    assert (result.complete, list(result.findings)) == (True, [])
    small, large = program.world.smaller_pools[0], program.world.pools[0]
    assert (large.h.nr, small.h.nr) == (0, large.h.size // small.h.size)
    assert all(program.world.engines[0].folio_optimized(folio) for folio in small.live)


def test_a_size_with_many_parts_is_refused() -> None:
    with pytest.raises(UsageError, match="can be demoted into at most"):
        Configuration("", "", parse_actors("demote A")).program(x86_64())
