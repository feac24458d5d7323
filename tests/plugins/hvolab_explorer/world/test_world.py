# SPDX-License-Identifier: GPL-2.0-only
"""Machines with folios to explore."""

from __future__ import annotations

import pytest

from hvolab.arch import EntryKind
from hvolab.errors import MachineError, UsageError
from hvolab_explorer.schedule import Replay
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.world.world import World, WorldSpec
from tests.machines import x86_64
from tests.plugins.hvolab_explorer.worlds import optimized


def test_a_world_begins_as_it_is_described_and_every_invariant_holds() -> None:
    world = World(x86_64(), WorldSpec(folios=2, optimized=frozenset({1}), in_use=((0, 64),)))
    assert (optimized(world, 0), optimized(world, 1)) == (False, True)
    assert world.check() == []
    whole = World(x86_64(), WorldSpec(folios=2))
    assert whole.machine.tables.find(whole.folios[0]).kind is EntryKind.LEAF
    assert whole.machine.tables.find(whole.folios[0]).level.name == "pmd"
    split = World(x86_64(), WorldSpec(folios=2, split=True))
    assert split.machine.tables.find(split.folios[0]).level.name == "pte"


@pytest.mark.slow
def test_a_world_returns_to_its_first_state() -> None:
    world = World(x86_64(), WorldSpec(folios=1, cpus=1))
    before = bytes(world.machine.memory.octets)
    for _ in range(2):
        actor = Actor(0, "", lambda: world.engines[0].optimize_folio(world.h, world.folios[0]), 0)
        assert world.scheduler.run([actor], Replay([])) == []
        assert optimized(world)
        assert world.check() == []
        world.restore()
        assert bytes(world.machine.memory.octets) == before


def test_names_are_those_of_struct_pages_and_of_physical_addresses() -> None:
    world = World(x86_64(), WorldSpec(folios=2))
    assert world.name(world.folios[1] + 64 * 3 + 8) == "B.3+8"
    assert world.name(world.machine.virt(0x5000)) == "PA 0x5000"


def test_a_machine_that_is_too_small_is_refused() -> None:
    with pytest.raises((UsageError, MachineError)):
        World(x86_64(), WorldSpec(memory=0, folios=0, cpus=0))
