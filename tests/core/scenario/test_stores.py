# SPDX-License-Identifier: GPL-2.0-only
"""Stores to tails: what they do to memory, and which tails are tried."""

from __future__ import annotations

from dataclasses import replace

from hvolab.arch import Target
from hvolab.machine import MachineSpec
from hvolab.plugin import registry
from hvolab.scenario import TailStores
from hvolab.scenario.stores import store_to_tails
from tests.machines import GIB, MIB, Pools, pools, x86_64


def optimized(target: Target, size: int) -> tuple[Pools, int]:
    """A machine with one optimized folio of that size, and the VA of its head."""
    made = pools(MachineSpec(memory=256 * MIB if size < GIB else 4 * GIB), target)
    [pool] = [pool for pool in made.pools if pool.h.size == size]
    pool.set_max_huge_pages(1)
    [folio] = pool.live
    assert made.hvo.folio_optimized(folio)
    return made, folio


def tried(size: int, target: Target | None = None) -> TailStores:
    made, folio = optimized(target or x86_64(), size)
    return store_to_tails(made.machine, folio, size, size // 4096 * 64 // 4096)


def test_every_tail_of_a_small_folio_is_tried_and_faults() -> None:
    stores = tried(2 * MIB)
    assert (stores.tail_pages, stores.tried, stores.faulted, stores.landed) == (7, 7, 7, ())
    assert stores.findings(declared=False) == []


def test_of_a_large_folio_some_tails_are_tried_from_the_first_to_the_last() -> None:
    riscv = registry().architecture("riscv").select()
    stores = tried(GIB, riscv)
    assert (stores.tail_pages, stores.tried, stores.faulted) == (4095, 16, 0)
    pages = [(hit.va - stores.folio) // 4096 for hit in stores.landed]
    assert (pages[0], pages[-1]) == (1, 4095)
    assert len(set(pages)) == 16


def test_a_store_that_lands_is_a_finding_and_leaves_no_trace() -> None:
    made, folio = optimized(registry().architecture("riscv").select(), 2 * MIB)
    frame = made.machine.tables.frame_of(folio)
    assert frame is not None
    before = made.machine.memory.frame(frame).tobytes()
    stores = store_to_tails(made.machine, folio, 2 * MIB, 8)
    assert made.machine.memory.frame(frame).tobytes() == before
    assert (stores.faulted, stores.frames, stores.at_head) == (0, (frame,), True)
    [declared] = stores.findings(declared=True)
    [undeclared] = stores.findings(declared=False)
    assert (declared.declared, undeclared.declared) == (True, False)
    assert f"PFN {frame:#x}" in declared.where


def test_a_store_through_a_stale_translation_is_told_apart_from_one_to_the_shared_frame() -> None:
    target = registry().architecture("x86_64").select()
    deaf = replace(target, traits=replace(target.traits, flush_all_effective=False))
    made = pools(MachineSpec(memory=256 * MIB), deaf)
    pool = made.pools[0]
    first, stop = made.machine.vmemmap[0]
    vas = [made.machine.struct_pages.va(pfn) for pfn in range(first, stop, 64)]
    for va in vas:
        made.machine.cpus[0].store_word(va + 56, 0)  # the CPU then holds every page as boot mapped it, writable
    pool.set_max_huge_pages(1)
    [folio] = pool.live
    stores = store_to_tails(made.machine, folio, 2 * MIB, 8)
    assert all(hit.stale and hit.mapped == made.machine.tables.frame_of(folio) for hit in stores.landed)
    assert len(stores.frames) == len(stores.landed) > 0
    [finding] = stores.findings(declared=True)
    assert not finding.declared
    assert f"PFN {stores.frames[0]:#x}" in finding.where
