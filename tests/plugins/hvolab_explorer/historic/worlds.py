# SPDX-License-Identifier: GPL-2.0-only
"""Machines with a historic fix taken out."""

from __future__ import annotations

from hvolab_explorer.world.shared import SharedTails
from hvolab_explorer.world.world import World


def no_flush_all(world: World) -> None:
    """B27: flush_tlb_all() does nothing."""
    world.machine.flush_tlb_all = lambda: None  # type: ignore[method-assign]


def no_barrier(world: World) -> None:
    """B02: smp_wmb() does nothing."""
    for cpu in world.cpus:
        cpu.barrier = lambda kind: None  # type: ignore[method-assign]  # noqa: ARG005


def kmemleak_keeps_all(world: World) -> None:
    """B04: kmemleak keeps pages that are freed."""
    assert world.machine.kmemleak is not None
    world.machine.kmemleak.free_part = lambda pfn: None  # type: ignore[method-assign]  # noqa: ARG005


def no_self_hosted(world: World) -> None:
    """B40: pages of self-hosted vmemmap are not recognized."""
    world.machine.records._inner.self_hosted = lambda *_: False  # type: ignore[attr-defined]


def no_split_page(world: World) -> None:
    """B41: the block behind a PMD is not split into pages."""
    world.machine.split_page = lambda *_: None  # type: ignore[method-assign]


_exchange = SharedTails.setdefault


def store_tails(tails: SharedTails, place: tuple[int, int, int], pfn: int) -> int:
    """B37: the page that tails share is stored, not exchanged."""
    _exchange(tails, place, pfn)
    tails[place] = pfn
    return pfn
