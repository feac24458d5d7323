# SPDX-License-Identifier: GPL-2.0-only
"""Loads that a CPU with weak memory executes before their turn.

The actor before it may get the flags of a struct page as they were earlier, unless an acquire is between. It is of no
effect where the architecture has total store order, which keeps loads in order.
Left out: early loads of other words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab.arch import MemoryOrder
from hvolab.errors import UsageError
from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.weak import WeakCpu
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    reader, layout = world.cpus[cpu], world.machine.struct_pages.layout
    if not isinstance(reader, WeakCpu):
        raise UsageError("loads are executed in order in this world", hint="add --memory weak")
    ordered = world.machine.target.traits.memory_order is MemoryOrder.TSO
    words = [] if ordered else [place.va(world) + layout.flags for place in places]

    def body() -> None:
        for word in words:
            reader.load_early(word)

    return body


LOAD_EARLY = ActorKind(
    "load-early",
    "PAGE...",
    "a load of a struct page's flags before its turn, on the CPU of the actor before it",
    _make,
    helps=True,
)
