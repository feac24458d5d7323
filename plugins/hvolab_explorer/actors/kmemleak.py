# SPDX-License-Identifier: GPL-2.0-only
"""The scanner of kmemleak, which reads memory of boot that is registered with it.

Kernel: kmemleak_scan(), scan_object() in mm/kmemleak.c, v6.12. free_bootmem_page(), and put_page_bootmem() of x86,
remove a page before it is freed, since "bootmem: remove the vmemmap pages from kmemleak in free_bootmem_page" (2022).
Left out: what is looked for in the words that are read, two of each page; the object's list and its checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab.errors import UsageError
from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    kmemleak, frames = world.machine.kmemleak, [world.machine.tables.frame_of(place.va(world)) for place in places]
    if kmemleak is None:
        raise UsageError("kmemleak has no objects in this world", hint="set kmemleak in the description of the world")

    def body() -> None:
        for frame in frames:
            if frame is not None:
                kmemleak.scan(world.cpus[cpu], frame)

    return body


KMEMLEAK = ActorKind(
    "kmemleak",
    "PAGE...",
    "kmemleak_scan() of the frames that back struct pages at the start",
    _make,
    uses_kmemleak=True,
)
