# SPDX-License-Identifier: GPL-2.0-only
"""Writes to vm.hugetlb_optimize_vmemmap.

Kernel: proc_dobool() on vmemmap_optimize_enabled in mm/hugetlb_vmemmap.c, v6.12: one store, without a lock.
Left out: the parsing of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, *, enabled: bool) -> Callable[[], object]:
    def body() -> None:
        world.scheduler.point(f"write {enabled:d} to vm.hugetlb_optimize_vmemmap")
        world.machine.optimize_enabled = enabled

    return body


def _make_off(world: World, _: int, __: Sequence[Place]) -> Callable[[], object]:
    return _make(world, enabled=False)


def _make_on(world: World, _: int, __: Sequence[Place]) -> Callable[[], object]:
    return _make(world, enabled=True)


SYSCTL_OFF = ActorKind("sysctl-off", "", "a write of 0 to vm.hugetlb_optimize_vmemmap", _make_off)
SYSCTL_ON = ActorKind(
    "sysctl-on", "", "a write of 1 to vm.hugetlb_optimize_vmemmap, which is 0 before", _make_on, starts_disabled=True
)
