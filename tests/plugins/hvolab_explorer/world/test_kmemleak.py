# SPDX-License-Identifier: GPL-2.0-only
"""Objects of kmemleak."""

from __future__ import annotations

from hvolab_explorer.world.world import World, WorldSpec
from tests.machines import x86_64


def test_pages_of_boot_are_read_until_they_are_removed_and_after_the_first_state_returns() -> None:
    world = World(x86_64(), WorldSpec(folios=1, kmemleak=True))
    kmemleak, cpu = world.machine.kmemleak, world.cpus[0]
    pfn = world.machine.tables.frame_of(world.folios[0])
    assert kmemleak is not None
    assert pfn is not None
    seen: list[int] = []
    cpu.watches.append(lambda translated: seen.append(translated.pa))
    kmemleak.scan(cpu, pfn)
    assert [pa >> 12 for pa in seen] == [pfn, pfn]
    kmemleak.free_part(pfn)
    kmemleak.scan(cpu, pfn)
    assert len(seen) == 2
    world.restore()
    kmemleak.scan(cpu, pfn)
    assert len(seen) == 4
