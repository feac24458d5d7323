# SPDX-License-Identifier: GPL-2.0-only
"""The actor `scanner`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import explored, program


def test_it_is_quiet_as_long_as_each_struct_page_leads_to_its_head() -> None:
    assert not explored("optimize A, scanner A.64 A.70").findings


def test_another_head_is_a_finding() -> None:
    made = program("scanner A.65")
    world = made.world
    world.cpus[0].store_word(world.folios[0] + 64 * 65 + 8, world.folios[0] + 64 * 3 + 1)
    (actor,) = made.actors()
    actor.body()
    assert "compound_head() of A.65" in world.scheduler.findings[0]
