# SPDX-License-Identifier: GPL-2.0-only
"""A CPU whose operations are steps."""

from __future__ import annotations

import numpy as np

from hvolab_explorer.schedule import Replay
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.footprint import Footprint
from hvolab_explorer.world.world import World
from tests.plugins.hvolab_explorer.worlds import program


def footprints(world: World, body: object) -> list[Footprint]:
    """The footprints of one actor's steps after its first."""
    assert callable(body)
    world.scheduler.run([Actor(0, "actor", body, 0)], Replay([]))
    return [event.footprint for event in world.scheduler.order.events[1:]]


def test_a_load_of_the_direct_map_reads_its_word_and_the_frame() -> None:
    world = program("optimize A").world
    va = world.machine.page_to_virt(0x300)
    (load,) = footprints(world, lambda: world.cpus[0].load_word(va + 8))
    assert load.reads == load.whole == {((0x300 << 12) + 8) >> 3, ("frame", 0x300)}


def test_an_access_of_the_vmemmap_walks_once_and_a_flush_of_it_commutes_with_flushes_alone() -> None:
    world = program("optimize A").world
    cpu, va = world.cpus[0], world.folios[0] + 64 * 70

    def body() -> None:
        cpu.load_word(va)
        cpu.load_word(va)
        cpu.flush_range(va, va + 64)
        cpu.flush_all()

    fill, hit, flush, flush_all = footprints(world, body)
    slot = world.machine.tables.find(va).slot
    assert slot >> 3 in fill.reads
    assert slot >> 3 not in hit.reads
    assert all(flush.races(other) for other in (fill, hit))
    assert all(flush_all.races(other) for other in (fill, hit))
    assert not flush.races(flush_all)


def test_a_page_is_copied_and_a_table_filled_in_one_step_and_other_entries_one_by_one() -> None:
    world = program("optimize A").world
    cpu, machine = world.cpus[0], world.machine
    one, two = machine.page_to_virt(0x300), machine.page_to_virt(0x301)
    copy, *_ = footprints(world, lambda: cpu.copy_page(one, two))
    assert len([token for token in copy.writes if isinstance(token, int)]) == 512
    assert len(footprints(world, lambda: cpu.write_entries(one, np.zeros(512, dtype=np.uint64)))) == 1
    assert len(footprints(world, lambda: cpu.write_entries(one, np.zeros(3, dtype=np.uint64)))) == 3


def test_a_walk_ahead_fills_the_tlb_without_an_access() -> None:
    world = program("optimize A").world
    va = world.folios[0] + 64 * 70
    (walk,) = footprints(world, lambda: world.cpus[0].walk_ahead(va))
    assert ("tlb", 0, 12, va >> 12) in walk.writes
    cached = world.cpus[0].cached_translations()
    assert cached is not None
    assert va >> 12 << 12 in cached[:, 0].tolist()
