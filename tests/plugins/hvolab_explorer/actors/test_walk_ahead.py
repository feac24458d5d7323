# SPDX-License-Identifier: GPL-2.0-only
"""The actor `walk-ahead`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import explored, program


def test_it_fills_the_tlb_of_the_cpu_before_it() -> None:
    made = program("scanner A.70, walk-ahead A.70")
    made.actors()[1].body()
    filled = [cpu.cached_translations() for cpu in made.world.cpus]
    va = made.world.folios[0] + 64 * 64
    assert [va in ([] if rows is None else rows[:, 0].tolist()) for rows in filled] == [True, False]


def test_a_flush_after_the_remap_removes_what_it_has_filled() -> None:
    result = explored("optimize A, scanner A.70, walk-ahead A.70")
    assert (result.complete, list(result.findings)) == (True, [])
