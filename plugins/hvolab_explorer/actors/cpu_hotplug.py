# SPDX-License-Identifier: GPL-2.0-only
"""CPU hotplug, as far as locks are concerned.

Kernel: cpus_write_lock() in _cpu_up() in kernel/cpu.c, and pcp_batch_high_lock in page_alloc_cpu_online() in
mm/page_alloc.c, v6.12.
Left out: everything between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, _: int, __: Sequence[Place]) -> Callable[[], object]:
    locks = world.machine.locks

    def body() -> None:
        with locks.cpu_hotplug_lock, locks.named("pcp_batch_high_lock"):
            world.scheduler.point("a CPU goes online")

    return body


CPU_HOTPLUG = ActorKind("cpu-hotplug", "", "cpus_write_lock(), then pcp_batch_high_lock, as _cpu_up()", _make)
