# SPDX-License-Identifier: GPL-2.0-only
"""A CPU that walks the page tables ahead of any access, as hardware may at any time.

Without it a TLB is filled by accesses alone, and a missing flush is found only if an access comes before it. It
fills the TLB of the CPU of the actor that is named before it.
Left out: an entry that is evicted, which is as if it had never been filled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    pages = [place.va(world) for place in places]
    walker = world.cpus[cpu]

    def body() -> None:
        for page in pages:
            walker.walk_ahead(page)

    return body


WALK_AHEAD = ActorKind(
    "walk-ahead", "PAGE...", "a speculative page walk on the CPU of the actor before it", _make, helps=True
)
