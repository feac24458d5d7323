# SPDX-License-Identifier: GPL-2.0-only
"""A write to vm.hugetlb_optimize_vmemmap.

Kernel: proc_dobool() on vmemmap_optimize_enabled in mm/hugetlb_vmemmap.c, v6.12: one store, without a lock.
Left out: the parsing of the text; it disables HVO.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, _: int, __: Sequence[Place]) -> Callable[[], object]:
    def body() -> None:
        world.scheduler.point("write 0 to vm.hugetlb_optimize_vmemmap")
        world.machine.optimize_enabled = False

    return body


SYSCTL = ActorKind("sysctl-off", "", "a write of 0 to vm.hugetlb_optimize_vmemmap", _make)
