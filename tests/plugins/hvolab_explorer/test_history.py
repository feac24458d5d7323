# SPDX-License-Identifier: GPL-2.0-only
"""Historic bugs of HVO, as fixes taken out of the engine: found with ready actors, quiet with the fix in.

The configurations with the fix in are the ready ones, which test_configuration.py explores to the end. The oracle of
B06 was written for it; those of the others are general.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from hvolab.arch import EntryKind
from hvolab.hugetlb import Pool
from hvolab.hugetlb.memory_failure import page_handle_poison
from hvolab.hugetlb.raw_hwp import clear_hwpoison
from hvolab.hvo import Hvo
from hvolab.hvo.pages import VmemmapPageAllocator
from hvolab.hvo.sizes import HasOrder
from hvolab.hvo.walk import RemapWalk, VmemmapWalker
from hvolab.machine.struct_pages import lists
from hvolab_explorer.exploration import Result, explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.cpu import ExploredCpu
from hvolab_explorer.world.machine import ExploredMachine, SharedTails, WorldOptions
from hvolab_explorer.world.world import World, WorldProgram
from tests.machines import x86_64

Engine = Callable[[ExploredMachine, ExploredCpu], Hvo]


def explored(
    actors: str,
    engine: Engine = Hvo,
    *,
    split: bool = False,
    release: str = "6.12",
    failures: int = 0,
    pool: type[Pool] = Pool,
    disturb: Callable[[World], None] | None = None,
) -> Result:
    """Explore actors on an engine up to the first finding."""
    configuration = Configuration("", "", parse_actors(actors), split, WorldOptions(failures=failures))
    world = World(x86_64(release=release), replace(configuration.spec(), engine=engine, pool=pool))
    if disturb is not None:
        disturb(world)
    return explore(WorldProgram(world, [actor.body() for actor in configuration.actors]), Dpor())


def with_walker(kind: type[VmemmapWalker]) -> Engine:
    """An engine with another walker."""

    def make(machine: ExploredMachine, cpu: ExploredCpu) -> Hvo:
        hvo = Hvo(machine, cpu)
        remap = hvo.remap
        remap._walker = kind(machine, cpu, hvo.variant, remap._update)
        return hvo

    return make


class WithoutRecheck(VmemmapWalker):
    """Before d8d55f5616cf: a PMD is replaced by a table without looking whether another CPU has done so."""

    def _is_leaf(self, raw: int) -> bool:
        return True if self._populating else super()._is_leaf(raw)

    _populating = False

    def _populate(self, va: int, head: int, slot: int, table: int, walk: RemapWalk) -> int:
        self._populating = True
        try:
            return super()._populate(va, head, slot, table, walk)
        finally:
            self._populating = False


class ReadTwice(VmemmapWalker):
    """Before 3ce2c24cb68f: the frame is read from the PMD after the test for a leaf, and without the lock."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._page_table_lock = nullcontext()  # type: ignore[assignment]

    def _populate(self, va: int, head: int, slot: int, table: int, walk: RemapWalk) -> int:
        with self._machine.locks.page_table_lock:
            return super()._populate(va, head, slot, table, walk)

    def _find_entry(self, va: int) -> tuple[int, int, int | None]:
        slot, pfn, head = super()._find_entry(va)
        if head is None:
            return slot, pfn, None
        raw = self._cpu.load_word(self._machine.virt(slot))
        if not super()._is_leaf(raw):
            self._machine.scheduler.report("pmd_page() of a PMD that points to a table")  # type: ignore[attr-defined]
        form = self._mode.format.form(self._middle.name, EntryKind.LEAF)
        head = form.get_address(raw) >> self._page_shift
        return slot, head + self._last.index(va), head


class LateFlag(Hvo):
    """Before the fix of the batching series (v6.7): the flag is set after the remap, through a stale translation."""

    def _remap(self, h: HasOrder, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        self._count_folio(1)
        result = self.remap.free(folio, folio + self.sizes(h).size, pages, flags, None)
        self._set_optimized(folio, optimized=True)
        return result


class WithoutGracePeriod(Hvo):
    """Before bd225530a4c7: entries change without a grace period."""

    def __init__(self, machine: ExploredMachine, cpu: ExploredCpu) -> None:
        super().__init__(machine, cpu)
        self._rcu = 0


class ClearsMarkAtRemoval(Pool):
    """Before 32c877191e02: a folio loses the hugetlb type when it is removed, before its vmemmap is restored."""

    def remove(self, folio: int, *, surplus: bool, demote: bool = False) -> None:
        super().remove(folio, surplus=surplus, demote=demote)
        self.clear_mark(folio)


class MarksLate(Pool):
    """Before d8f5f7e445f0: a new folio gets the hugetlb type after it is optimized."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.variant = replace(self.variant, marked_first=False)


class KeepsOnList(Pool):
    """A draft of the batching series (v6.7): a folio that cannot be restored is added while it is on another list."""

    def _bulk_restore_error(self, head: int, non_hvo: int) -> None:
        if not lists.empty(self.cpu, non_hvo):
            super()._bulk_restore_error(head, non_hvo)
            return
        for folio in self.folios(head):
            if not self.hvo.restore_folio(self.h, folio):
                self._free_restored(folio)
                break
            with self.hugetlb_lock:
                self.add(folio, surplus=True)


class ClearsMarkOfOptimized(Pool):
    """Before 52ccdde16b65: the type is cleared if the folio was optimized when freeing began."""

    def clear_mark(self, folio: int) -> None:
        if self.begun is None or self.begun:
            super().clear_mark(folio)

    begun: bool | None = None

    def update_and_free(self, folio: int) -> None:
        self.begun = self.folio.flag(folio, self._layout.hpg_vmemmap_optimized)
        try:
            super().update_and_free(folio)
        finally:
            self.begun = None


class MovesPoisonFirst(Pool):
    """Before 5596d9e8b553: PG_hwpoison moves to the recorded pages before the folio loses the hugetlb type."""

    def update_and_free(self, folio: int) -> None:
        if self.folio.poisoned(folio):
            clear_hwpoison(self.folio, folio)
        super().update_and_free(folio)


def no_flush_all(world: World) -> None:
    """Make flush_tlb_all() do nothing, as s390's was (f13b83fdd996, fixed by 64e2f60f355e)."""
    world.machine.flush_tlb_all = lambda: None  # type: ignore[method-assign]


def test_b01_two_cpus_split_one_pmd_without_looking_again() -> None:
    result = explored("optimize A, optimize B", with_walker(WithoutRecheck))
    assert result.findings, result.verdict


def test_b06_the_frame_of_a_leaf_is_read_after_another_cpu_has_split_it() -> None:
    result = explored("optimize A, optimize B", with_walker(ReadTwice))
    assert result.findings, result.verdict


@pytest.mark.slow
def test_b07_a_memory_error_is_marked_in_a_tail_of_a_folio_that_lost_its_type() -> None:
    result = explored("dissolve A, memory-failure A.70", split=True, pool=ClearsMarkAtRemoval)
    assert any("faults: permission" in text for text in result.findings), result.verdict


def test_b08_a_memory_error_is_marked_in_a_tail_of_a_folio_that_has_no_type_yet() -> None:
    result = explored("add A, memory-failure A.70", split=True, pool=MarksLate)
    assert any("faults: permission" in text for text in result.findings), result.verdict


def test_b14_the_flag_is_stored_through_a_stale_translation() -> None:
    result = explored("optimize-list A", LateFlag, split=True)
    assert result.findings, result.verdict


@pytest.mark.slow
def test_b16_a_folio_that_cannot_be_restored_is_on_two_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvolab_explorer.steps.scheduler.MOST_STEPS", 2000)
    result = explored("shrink A B", split=True, failures=2, pool=KeepsOnList)
    assert result.findings, result.verdict


def test_b18_a_folio_is_freed_with_the_hugetlb_type() -> None:
    result = explored("dissolve A", split=True, pool=ClearsMarkOfOptimized)
    assert result.findings, result.verdict
    assert explored("dissolve A", split=True).complete


def test_b19_a_folio_is_dissolved_under_the_lock_of_lists_of_free_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    actors = "memory-failure A.70, restore A, cpu-hotplug"

    def under_lock(pool: Pool, folio: int, pfn: int) -> int:
        with pool.machine.locks.named("pcp_batch_high_lock"):
            return page_handle_poison(pool, folio, pfn)

    monkeypatch.setattr("hvolab_explorer.actors.memory_failure.page_handle_poison", under_lock)
    result = explored(actors, split=True)
    assert any("circle" in text or "deadlock" in text for text in result.findings), result.verdict


def test_b20_a_memory_error_is_recorded_after_the_records_were_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvolab.hugetlb.pool.clear_hwpoison", lambda *_: None)
    result = explored("dissolve A, memory-failure A.70", split=True, pool=MovesPoisonFirst)
    assert any("poison" in text for text in result.findings), result.verdict


def test_b24_a_reference_is_taken_while_tails_are_remapped_without_a_grace_period() -> None:
    result = explored("recycle A.64, taker A.64", WithoutGracePeriod)
    assert any("faults: permission" in text for text in result.findings), result.verdict


def test_b27_a_tail_is_read_through_a_translation_that_no_flush_removes() -> None:
    actors = "optimize-list A, scanner A.200"
    for speculation in ("", ", walk-ahead A.200"):
        result = explored(actors + speculation, split=True, disturb=no_flush_all)
        assert result.findings, result.verdict


def test_b29_the_test_for_a_fake_head_comes_before_the_load_of_the_count() -> None:
    result = explored("allocate A, taker-6.11 A.64")
    assert any("faults: permission" in text for text in result.findings), result.verdict
    assert explored("allocate A, taker A.64").complete


def test_b30_a_restored_page_has_struct_pages_of_the_first_ones() -> None:
    def make(machine: ExploredMachine, cpu: ExploredCpu) -> Hvo:
        hvo = Hvo(machine, cpu)
        hvo.remap._restore._reset_size = machine.struct_pages.layout.size * 2
        return hvo

    result = explored("restore A", make, split=True)
    assert result.findings, result.verdict
    assert explored("restore A", split=True).complete


def test_b37_two_cpus_allocate_the_page_that_tails_share_and_both_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert explored("optimize A, optimize B", split=True, release="7.2").complete
    exchange = SharedTails.setdefault

    def store(tails: SharedTails, place: tuple[int, int, int], pfn: int) -> int:
        exchange(tails, place, pfn)
        tails[place] = pfn
        return pfn

    monkeypatch.setattr(SharedTails, "setdefault", store)
    result = explored("optimize A, optimize B", split=True, release="7.2")
    assert result.findings, result.verdict


@pytest.mark.slow
def test_s1_a_batch_whose_first_folio_is_not_optimized_waits_for_no_grace_period() -> None:
    """The flag for it is cleared after the first folio of the list, also if that was skipped."""
    assert explored("recycle-list A B.64, taker B.64", split=True).complete
    result = explored("recycle-list A B.64, sysctl-on, taker B.64", split=True)
    assert any("faults: permission" in text for text in result.findings), result.verdict


@pytest.mark.slow
def test_s3_a_memory_error_is_lost_while_the_folio_is_optimized() -> None:
    """The second try of get_huge_page_for_hwpoison() marks the head of a folio that is neither free nor in use.

    Between the copy of the head's page and the change of its entry, the mark is lost.
    """
    result = explored("add A, memory-failure A.70", split=True)
    assert any("has no PG_hwpoison" in text for text in result.findings), result.verdict
