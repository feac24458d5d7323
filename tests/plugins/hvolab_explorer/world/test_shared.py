# SPDX-License-Identifier: GPL-2.0-only
"""Parts of a machine that its CPUs share."""

from __future__ import annotations

import numpy as np

from hvolab_explorer.world.shared import ExploredRecords
from hvolab_explorer.world.world import World, WorldSpec
from tests.machines import x86_64


def test_a_frame_whose_flag_is_read_is_in_the_footprint() -> None:
    world = World(x86_64(), WorldSpec())
    machine, touched = world.machine, list[int]()
    pfns = machine.tables.frames(world.folios[0], 2)
    records = ExploredRecords(machine.records, touched.append)
    assert records.reserved(pfns).all()
    assert touched == pfns.tolist()
    free = machine.alloc_pages(0, 1)
    assert free is not None
    assert not records.reserved(np.array([free])).any()
    assert records.boot_registered(pfns).all() == machine.records.boot_registered(pfns).all()
