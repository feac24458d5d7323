# SPDX-License-Identifier: GPL-2.0-only
"""Findings repeated and shrunk."""

from __future__ import annotations

import pytest

from hvolab.errors import HvolabError
from hvolab_explorer.exploration import Found, explore
from hvolab_explorer.runs.shrink import replay, shrink
from hvolab_explorer.schedule import segments_of
from hvolab_explorer.search.bounded import Bounded
from tests.plugins.hvolab_explorer.worlds import program


@pytest.mark.slow
def test_a_schedule_shrinks_to_the_few_switches_that_the_finding_needs() -> None:
    made = program("allocate A, taker-6.11 A.64")
    result = explore(made, Bounded(3))
    (found,) = result.findings.values()
    shrunk = shrink(made, replay(made, found))
    assert shrunk.text == found.text
    assert len(segments_of(shrunk.log)) <= min(4, len(segments_of(found.log)))


def test_a_finding_that_does_not_occur_again_is_an_error() -> None:
    made = program("optimize A")
    with pytest.raises(HvolabError, match="does not occur again"):
        replay(made, Found("never", 1, ()))
