# SPDX-License-Identifier: GPL-2.0-only
"""The modeled CPU: a TLB that fills lazily, stale translations that serve until they are flushed and never after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hvolab.arch import Access, Architecture, FaultKind, PageFault, PgprotRole, UpdateRule
from hvolab.errors import AbsentMemoryError, UsageError
from hvolab.machine import Machine, MachineSpec, ModelCpu, build_machine
from hvolab.machine.cpus.bulk import BulkCpu, bulk_of, is_bulk
from hvolab.trace import Barrier, PageCopied, Stored
from hvolab_arm64.description import ARM64
from hvolab_riscv.description import RISCV
from hvolab_x86_64.description import X86_64
from tests.folios import allocator
from tests.made_up import MADE_UP

KERNEL, RO = PgprotRole.KERNEL, PgprotRole.KERNEL_RO
PAGE, BLOCK = 1 << 12, 1 << 21
#: Pages that the tests map: above the RAM of the direct map.
VA = 0xFFFF888200000000
#: Frames whose first word tells which they are.
FRAMES = range(0x800, 0x808)


class Box:
    """A machine, one CPU of it, and pages at VA that are mapped as a test says."""

    def __init__(self, architecture: Architecture = X86_64, *, cpus: int = 1, tlb_capacity: int | None = None) -> None:
        spec = MachineSpec(memory=64 << 20, cpus=cpus, tlb_capacity=tlb_capacity)
        self.machine: Machine = build_machine(architecture.select(), spec)
        self.cpu = self.machine.cpus[0]
        for pfn in FRAMES:
            self.machine.memory.write_word(pfn * PAGE, pfn)

    def map(self, page: int, pfn: int, role: PgprotRole = KERNEL, drop: int = 0) -> int:
        """Map a page behind the CPUs' backs: nothing is flushed; give its VA."""
        va = VA + page * PAGE
        self.machine.tables.map_leaf(va, pfn, "pte", role, self.new_table)
        if drop:
            slot = self.slot(page)
            self.machine.memory.write_word(slot, self.machine.memory.read_word(slot) & ~drop)
        return va

    def new_table(self, _: object) -> int:
        return allocator(self.machine).reserve_any(1, 1, 0) << 12

    def slot(self, page: int) -> int:
        return self.machine.tables.walk(VA + page * PAGE)[3].slot

    def unmap(self, page: int) -> None:
        self.machine.memory.write_word(self.slot(page), 0)


def vas(*values: int) -> npt.NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def refused(box: Box, va: int, access: Access) -> FaultKind:
    """Why the CPU refuses an access."""
    assert isinstance(box.cpu, ModelCpu)
    with pytest.raises(PageFault) as caught:
        box.cpu.translate(va, int(access))
    return caught.value.fault.kind


# The TLB.


def test_a_translation_is_looked_up_when_it_is_used_and_not_before() -> None:
    box = Box()
    va = box.map(0, FRAMES[0])
    box.map(0, FRAMES[1])
    assert box.cpu.load_word(va) == FRAMES[1]


def test_a_stale_translation_serves_until_its_flush_and_not_after() -> None:
    box = Box()
    va = box.map(0, FRAMES[0])
    assert box.cpu.load_word(va) == FRAMES[0]
    box.map(0, FRAMES[1])
    assert box.cpu.load_word(va) == FRAMES[0]
    box.cpu.store_word(va + 8, 0x57A1E)
    assert box.machine.memory.read_word(FRAMES[0] * PAGE + 8) == 0x57A1E
    box.cpu.flush_range(va, va + PAGE)
    assert box.cpu.load_word(va) == FRAMES[1]


def test_a_translation_outlives_its_entry_until_its_flush() -> None:
    box = Box()
    va = box.map(0, FRAMES[0])
    box.cpu.load_word(va)
    box.unmap(0)
    assert box.cpu.load_word(va) == FRAMES[0]
    box.cpu.flush_all()
    assert refused(box, va, Access.READ) is FaultKind.TRANSLATION


@pytest.mark.parametrize(("start", "end", "flushed"), [(0, 2, {0, 1}), (1, 3, {1, 2}), (3, 9, {3}), (4, 4, set())])
def test_a_range_flush_forgets_the_range_and_nothing_else(start: int, end: int, flushed: set[int]) -> None:
    box = Box()
    for page in range(4):
        box.cpu.load_word(box.map(page, FRAMES[page]))
        box.map(page, FRAMES[page + 4])
    box.cpu.flush_range(VA + start * PAGE, VA + end * PAGE)
    seen = {page for page in range(4) if box.cpu.load_word(VA + page * PAGE) == FRAMES[page + 4]}
    assert seen == flushed


def test_flushing_part_of_a_large_translation_forgets_all_of_it() -> None:
    box = Box()
    va = box.machine.page_to_virt(0x1000)  # in the direct map, by leaves of 2 MiB
    box.cpu.load_word(va)
    slot = box.machine.tables.find(va).slot
    box.machine.memory.write_word(slot, 0)
    assert box.cpu.load_word(va + 8) == 0
    box.cpu.flush_range(va + 5 * PAGE, va + 6 * PAGE)
    assert refused(box, va, Access.READ) is FaultKind.TRANSLATION


def test_a_large_range_is_flushed_as_a_small_one_is() -> None:
    box = Box()
    box.cpu.load_word(box.map(0, FRAMES[0]))
    box.map(0, FRAMES[1])
    box.cpu.flush_range(VA - (1 << 32), VA + (1 << 32))
    assert box.cpu.load_word(VA) == FRAMES[1]


def test_a_full_flush_that_an_architecture_makes_a_no_op_flushes_nothing() -> None:
    lazy = replace(X86_64, traits=replace(X86_64.traits, flush_all_effective=False))
    box = Box(lazy)
    va = box.map(0, FRAMES[0])
    box.cpu.load_word(va)
    box.map(0, FRAMES[1])
    box.cpu.flush_all()
    assert box.cpu.load_word(va) == FRAMES[0]
    box.cpu.flush_range(va, va + PAGE)
    assert box.cpu.load_word(va) == FRAMES[1]


def test_flushes_are_one_cpu_s_own_and_a_broadcast_reaches_all() -> None:
    box = Box(cpus=2)
    va = box.map(0, FRAMES[0])
    first, second = box.machine.cpus
    for cpu in (first, second):
        cpu.load_word(va)
    box.map(0, FRAMES[1])
    first.flush_all()
    assert [cpu.load_word(va) for cpu in (first, second)] == [FRAMES[1], FRAMES[0]]
    box.machine.flush_tlb_kernel_range(va, va + PAGE)
    assert second.load_word(va) == FRAMES[1]


def test_the_oldest_translation_goes_when_there_is_room_for_no_more() -> None:
    box = Box(tlb_capacity=2)
    for page in range(3):
        box.cpu.load_word(box.map(page, FRAMES[page]))
        box.map(page, FRAMES[page + 4])
    assert [box.cpu.load_word(VA + page * PAGE) for page in (1, 2)] == [FRAMES[1], FRAMES[2]]
    assert box.cpu.load_word(VA) == FRAMES[4]


def test_without_a_capacity_every_translation_is_kept() -> None:
    box = Box()
    for page in range(1000):
        box.cpu.load_word(box.map(page, FRAMES[0]))
    assert isinstance(box.cpu, ModelCpu)
    cached = box.cpu.cached_translations()
    assert cached.shape == (1000, 3)
    assert cached[7].tolist() == [VA + 7 * PAGE, FRAMES[0], 1]


def test_what_the_tlb_holds_is_told_with_its_size() -> None:
    box = Box()
    box.cpu.load_word(box.machine.page_to_virt(0x1234))
    assert isinstance(box.cpu, ModelCpu)
    assert box.cpu.cached_translations().tolist() == [[box.machine.page_to_virt(0x1200), 0x1200, 512]]


def test_a_split_leaf_is_used_until_its_flush_and_the_pages_after() -> None:
    box = Box()
    pages, hvo_va = box.machine.struct_pages, box.machine.struct_pages.va(0x800)
    box.cpu.load_word(hvo_va)
    step = box.machine.tables.find(hvo_va)
    head = box.machine.tables.frame_of(hvo_va & ~(BLOCK - 1))
    assert head is not None
    table = allocator(box.machine).reserve_any(1, 1, 0)
    entries = box.machine.target.page_entries(np.arange(head, head + 512), KERNEL)
    box.machine.memory.frame(table)[:] = entries
    box.machine.memory.write_word(step.slot, box.machine.target.table("pmd", table))
    index = (hvo_va >> 12) & 511
    box.machine.memory.frame(table)[index] = box.machine.target.leaf("pte", FRAMES[2], KERNEL)
    assert box.cpu.load_word(hvo_va) != FRAMES[2]
    box.cpu.flush_range(hvo_va, hvo_va + PAGE)
    assert box.cpu.load_word(hvo_va) == FRAMES[2]
    assert pages.locate_one(0x800) == FRAMES[2] * PAGE


class StaleTranslations(RuleBasedStateMachine):
    """Loads, remaps, unmaps and flushes in any order, beside a model of what a TLB may answer."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Box()
        self.mapped: dict[int, int] = {}
        self.cached: dict[int, int] = {}

    @rule(page=st.integers(0, 3), frame=st.sampled_from(FRAMES))
    def remap(self, page: int, frame: int) -> None:
        self.box.map(page, frame)
        self.mapped[page] = frame

    @rule(page=st.integers(0, 3))
    def unmap(self, page: int) -> None:
        if self.mapped.pop(page, None) is not None:
            self.box.unmap(page)

    @rule(page=st.integers(0, 3))
    def load(self, page: int) -> None:
        expected = self.cached.get(page, self.mapped.get(page))
        va = VA + page * PAGE
        if expected is None:
            with pytest.raises(PageFault):
                self.box.cpu.load_word(va)
            return
        assert self.box.cpu.load_word(va) == expected
        self.cached[page] = expected

    @rule(first=st.integers(0, 3), count=st.integers(1, 4))
    def flush_range(self, first: int, count: int) -> None:
        self.box.cpu.flush_range(VA + first * PAGE, VA + (first + count) * PAGE)
        for page in range(first, first + count):
            self.cached.pop(page, None)

    @rule()
    def flush_all(self) -> None:
        self.box.cpu.flush_all()
        self.cached.clear()

    @invariant()
    def the_tlb_holds_what_was_used_since_the_last_flush(self) -> None:
        assert isinstance(self.box.cpu, ModelCpu)
        rows = self.box.cpu.cached_translations().tolist()
        assert {((va - VA) >> 12): pfn for va, pfn, _ in rows} == self.cached


TestStaleTranslations = StaleTranslations.TestCase
TestStaleTranslations.settings = settings(max_examples=30, stateful_step_count=20)


# Permissions and flags.


def test_a_page_that_becomes_writable_is_looked_up_again_before_a_store_faults() -> None:
    box = Box()
    va = box.map(0, FRAMES[0], RO)
    box.cpu.load_word(va)
    assert refused(box, va, Access.WRITE) is FaultKind.PERMISSION
    box.map(0, FRAMES[0], KERNEL)
    box.cpu.store_word(va, 5)
    assert box.cpu.load_word(va) == 5


def test_a_stale_writable_translation_lets_a_store_through_to_a_read_only_page() -> None:
    box = Box()
    va = box.map(0, FRAMES[0])
    box.cpu.store_word(va, 1)
    box.map(0, FRAMES[0], RO)
    box.cpu.store_word(va, 2)
    box.cpu.flush_all()
    assert refused(box, va, Access.WRITE) is FaultKind.PERMISSION
    assert box.cpu.load_word(va) == 2


def test_a_faulting_access_changes_nothing_and_caches_nothing() -> None:
    box = Box()
    va = box.map(0, FRAMES[0], RO)
    with pytest.raises(PageFault):
        box.cpu.store_word(va, 5)
    assert isinstance(box.cpu, ModelCpu)
    assert box.machine.memory.read_word(FRAMES[0] * PAGE) == FRAMES[0]
    assert VA not in box.cpu.cached_translations()[:, 0].tolist()


def test_a_table_can_take_write_permission_away() -> None:
    box = Box()
    va = box.map(0, FRAMES[0])
    slot = box.machine.tables.walk(va)[1].slot
    box.machine.memory.write_word(slot, box.machine.memory.read_word(slot) & ~2)
    assert box.cpu.load_word(va) == FRAMES[0]
    assert refused(box, va, Access.WRITE) is FaultKind.PERMISSION


def test_pages_with_equal_entries_are_judged_by_their_own_tables() -> None:
    box = Box()
    free, locked = box.map(0, FRAMES[0]), box.map(512, FRAMES[0])  # in two tables
    slot = box.machine.tables.walk(locked)[2].slot
    box.machine.memory.write_word(slot, box.machine.memory.read_word(slot) & ~2)
    box.cpu.store_word(free, 1)
    assert refused(box, locked, Access.WRITE) is FaultKind.PERMISSION
    assert box.cpu.load_word(locked) == 1


@pytest.mark.parametrize("level", [0, 1, 2])
def test_an_illegal_entry_on_the_way_is_a_reserved_bit_fault(level: int) -> None:
    box = Box()
    va = box.map(0, FRAMES[0])
    slot = box.machine.tables.walk(va)[level].slot
    raw = box.machine.memory.read_word(slot)
    box.machine.memory.write_word(slot, raw | 1 << 7 | 1 << 13)  # a leaf with a reserved bit, or none at all
    assert refused(box, va, Access.READ) is FaultKind.RESERVED


def test_a_table_in_absent_memory_is_a_fault_and_so_is_its_level() -> None:
    box = Box()
    va = box.map(0, FRAMES[0])
    slot = box.machine.tables.walk(va)[2].slot
    box.machine.memory.write_word(slot, box.machine.target.table("pmd", 1 << 30))
    with pytest.raises(PageFault) as caught:
        box.cpu.load_word(va)
    assert (caught.value.fault.kind, caught.value.fault.level) == (FaultKind.ABSENT, "pte")


def test_a_page_that_is_mapped_to_no_memory_is_absent_memory() -> None:
    box = Box()
    va = box.map(0, 1 << 30)
    for access in (lambda: box.cpu.load_word(va), lambda: box.cpu.load(va, 8), lambda: box.cpu.store(va, b"x")):
        with pytest.raises(AbsentMemoryError, match="no memory at PA"):
            access()


ACCESSED, DIRTY = 1 << 5, 1 << 6


def kept_flags(box: Box) -> int:
    """The flags of the first page's entry that the walker keeps."""
    return box.machine.memory.read_word(box.slot(0)) & (ACCESSED | DIRTY)


def test_the_walker_sets_accessed_on_a_load_and_dirty_on_a_store() -> None:
    box = Box()
    va = box.map(0, FRAMES[0], drop=ACCESSED | DIRTY)
    assert kept_flags(box) == 0
    box.cpu.load_word(va)
    assert kept_flags(box) == ACCESSED
    box.cpu.store_word(va, 1)
    assert kept_flags(box) == ACCESSED | DIRTY


def test_a_store_through_a_clean_cached_translation_walks_again_to_set_dirty() -> None:
    box = Box()
    va = box.map(0, FRAMES[0], drop=DIRTY)
    box.cpu.load_word(va)
    box.map(0, FRAMES[1], drop=DIRTY)  # the walk for the store finds the new page
    box.cpu.store_word(va, 0xD)
    assert box.machine.memory.read_word(FRAMES[0] * PAGE) == FRAMES[0]
    assert box.machine.memory.read_word(FRAMES[1] * PAGE) == 0xD


@pytest.mark.parametrize(
    ("flag", "rules", "access", "kind"),
    [
        (ACCESSED, {"accessed_by": UpdateRule.SOFTWARE}, Access.READ, FaultKind.ACCESS_FLAG),
        (DIRTY, {"dirty_by": UpdateRule.SOFTWARE}, Access.WRITE, FaultKind.DIRTY_FLAG),
    ],
)
def test_where_software_keeps_a_flag_an_access_with_it_clear_faults(
    flag: int, rules: dict[str, UpdateRule], access: Access, kind: FaultKind
) -> None:
    changed = replace(X86_64.mmu, **rules)  # type: ignore[arg-type]
    box = Box(replace(X86_64, mmu=changed))
    va = box.map(0, FRAMES[0], drop=flag)
    assert refused(box, va, access) is kind
    assert not box.machine.memory.read_word(box.slot(0)) & flag


def test_where_software_keeps_the_dirty_flag_a_store_after_a_load_faults_too() -> None:
    box = Box(replace(X86_64, mmu=replace(X86_64.mmu, dirty_by=UpdateRule.SOFTWARE)))
    va = box.map(0, FRAMES[0], drop=DIRTY)
    assert box.cpu.load_word(va) == FRAMES[0]
    assert refused(box, va, Access.WRITE) is FaultKind.DIRTY_FLAG


def test_where_nobody_keeps_a_flag_it_stays_clear() -> None:
    nobody = replace(X86_64.mmu, accessed_by=UpdateRule.NOBODY, dirty_by=UpdateRule.NOBODY)
    box = Box(replace(X86_64, mmu=nobody))
    box.cpu.store_word(box.map(0, FRAMES[0], drop=ACCESSED | DIRTY), 1)
    assert not box.machine.memory.read_word(box.slot(0)) & (ACCESSED | DIRTY)


# Loads and stores.


def test_a_load_and_a_store_may_cross_pages() -> None:
    box = Box()
    va = box.map(0, FRAMES[3])
    box.map(1, FRAMES[1])
    box.cpu.store(va + PAGE - 3, b"across")
    assert box.cpu.load(va + PAGE - 3, 6) == b"across"
    assert box.machine.memory.view(FRAMES[3] * PAGE + PAGE - 3, 3).tobytes() == b"acr"
    assert box.machine.memory.view(FRAMES[1] * PAGE, 3).tobytes() == b"oss"


def test_a_store_over_two_pages_stores_nothing_when_the_second_faults() -> None:
    box = Box()
    va = box.map(0, FRAMES[3])
    box.map(1, FRAMES[1], RO)
    with box.machine.trace.record() as events, pytest.raises(PageFault) as caught:
        box.cpu.store(va + PAGE - 3, b"across")
    assert caught.value.fault.va == va + PAGE
    assert box.machine.memory.view(FRAMES[3] * PAGE + PAGE - 3, 3).tobytes() == bytes(3)
    assert events == []


def test_a_compare_and_swap_stores_only_where_it_finds_what_it_expects() -> None:
    box = Box()
    va = box.map(0, FRAMES[0])
    assert box.cpu.compare_and_swap(va, 0xBAD, 1) == FRAMES[0]
    assert box.cpu.load_word(va) == FRAMES[0]
    assert box.cpu.compare_and_swap(va, FRAMES[0], 1) == FRAMES[0]
    assert box.cpu.load_word(va) == 1


@pytest.mark.parametrize("expected", [FRAMES[0], 0xBAD], ids=["that would store", "that would not store"])
def test_a_compare_and_swap_needs_write_permission_even_when_it_fails(expected: int) -> None:
    box = Box()
    va = box.map(0, FRAMES[0], RO)
    with pytest.raises(PageFault) as caught:
        box.cpu.compare_and_swap(va, expected, 1)
    assert caught.value.fault.access is Access.ATOMIC


def test_where_a_failing_compare_and_swap_needs_no_write_permission_it_only_reads() -> None:
    relaxed = replace(X86_64, traits=replace(X86_64.traits, compare_and_swap_needs_write=False))
    box = Box(relaxed)
    va = box.map(0, FRAMES[0], RO)
    assert box.cpu.compare_and_swap(va, 0xBAD, 1) == FRAMES[0]
    with pytest.raises(PageFault):
        box.cpu.compare_and_swap(va, FRAMES[0], 1)


def test_an_entry_is_exchanged_only_where_the_expected_one_stands() -> None:
    box = Box()
    box.map(0, FRAMES[0])
    slot, raw = box.machine.virt(box.slot(0)), box.machine.memory.read_word(box.slot(0))
    assert box.cpu.exchange_entry(slot, raw + 1, 0) == raw
    assert box.cpu.exchange_entry(slot, raw, 0x1234) == raw
    assert box.machine.memory.read_word(box.slot(0)) == 0x1234


def test_entries_are_written_through_the_direct_map_one_or_many() -> None:
    box = Box()
    box.map(0, FRAMES[0])
    slot = box.machine.virt(box.slot(0))
    box.cpu.write_entry(slot, 0xA)
    bulk_of(box.cpu).write_entries(slot + 8, np.array([0xB, 0xC], dtype=np.uint64))
    assert box.machine.memory.word_view(box.slot(0), 3).tolist() == [0xA, 0xB, 0xC]


def test_pages_and_parts_of_pages_are_copied_through_translations() -> None:
    box = Box()
    source, to = box.map(0, FRAMES[0]), box.map(1, FRAMES[1])
    box.cpu.store(source + 0x100, b"contents")
    with box.machine.trace.record() as events:
        box.cpu.copy_page(to, source)
        bulk_of(box.cpu).copy_runs(vas(to + 0x200), vas(source + 0x100), 8)
    assert box.cpu.load_word(to) == FRAMES[0]
    assert box.cpu.load(to + 0x100, 8) == box.cpu.load(to + 0x200, 8) == b"contents"
    assert events == [PageCopied(0, to, source), Stored(0, to + 0x200, FRAMES[1] * PAGE + 0x200, 8)]


def test_runs_of_pages_are_copied_as_each_alone_would_be() -> None:
    box = Box()
    source = box.map(0, FRAMES[0])
    pages = [box.map(page, FRAMES[page + 2]) for page in (1, 3, 2)]
    box.cpu.store(source + 0x40, b"from")
    with box.machine.trace.record() as events:
        bulk_of(box.cpu).copy_pages(vas(*pages), vas(source, source, source))
        bulk_of(box.cpu).copy_runs(vas(*pages), vas(*pages) + np.uint64(0x40), 8)
    for va in pages:
        assert box.cpu.load(va, 8) == box.cpu.load(va + 0x40, 8) == b"from" + bytes(4)
    frames = (FRAMES[3], FRAMES[5], FRAMES[4])
    assert events[:3] == [PageCopied(0, va, source) for va in pages]
    assert events[3:] == [Stored(0, va, pfn * PAGE, 8) for va, pfn in zip(pages, frames, strict=True)]


def test_nothing_is_copied_to_or_from_where_there_is_no_memory() -> None:
    box = Box()
    here, nowhere = box.map(0, FRAMES[0]), box.map(1, 1 << 30)
    before = box.machine.memory.octets.copy()
    for to, source in ((nowhere, here), (here, nowhere)):
        with pytest.raises(AbsentMemoryError, match="no memory at PA"):
            box.cpu.copy_page(to, source)
        with pytest.raises(AbsentMemoryError, match="no memory at PA"):
            bulk_of(box.cpu).copy_runs(vas(to), vas(source), 64)
        with pytest.raises(AbsentMemoryError, match="no memory at PA"):
            bulk_of(box.cpu).copy_pages(vas(to), vas(source))
    assert (box.machine.memory.octets == before).all()


def test_a_page_cannot_be_copied_to_where_stores_fault() -> None:
    box = Box()
    source, to = box.map(0, FRAMES[0]), box.map(1, FRAMES[1], RO)
    with pytest.raises(PageFault):
        box.cpu.copy_page(to, source)
    assert box.machine.memory.read_word(FRAMES[1] * PAGE) == FRAMES[1]


def test_stores_and_barriers_are_told_and_loads_are_not() -> None:
    box = Box()
    va = box.map(0, FRAMES[0])
    with box.machine.trace.record() as events:
        box.cpu.load(va, 8)
        box.cpu.store(va + 4, b"abc")
        box.cpu.store_word(va + 8, 1)
        box.cpu.barrier("smp_wmb")
    pa = FRAMES[0] * PAGE
    assert events == [Stored(0, va + 4, pa + 4, 3), Stored(0, va + 8, pa + 8, 8), Barrier(0, "smp_wmb")]


def test_words_have_the_byte_order_of_the_machine() -> None:
    machine = build_machine(MADE_UP.select(), MachineSpec(memory=64 << 20))
    va = machine.page_to_virt(0x90800)
    machine.cpus[0].store_word(va, 0x0102030405060708)
    assert machine.cpus[0].load(va, 8) == bytes(range(1, 9))
    assert machine.cpus[0].load_word(va) == 0x0102030405060708


def test_a_chain_of_links_is_followed_to_its_end() -> None:
    machine = build_machine(MADE_UP.select(), MachineSpec(memory=64 << 20))
    cpu, va = bulk_of(machine.cpus[0]), machine.kernel_data(64)
    links = [va + 16, va + 48, va + 32]
    for at, link in zip([va, *links], [*links, va], strict=True):
        machine.cpus[0].store_word(at, link)
    assert cpu.load_chain(va, va).tolist() == links
    assert cpu.load_chain(va, va + 16).size == 0
    assert cpu.load_chain(va, va).dtype == np.uint64


def test_a_napot_entry_translates_with_the_low_bits_of_the_va_alone_and_in_bulk() -> None:
    target = RISCV.select(features=("svnapot",))
    machine = build_machine(target, MachineSpec(memory=64 << 20))
    tables, cpu = machine.tables, machine.cpus[0]
    first = machine.memory.first_pfn + 0x800
    napot = target.leaf("pte", first, KERNEL) | 1 << 63 | 8 << 10
    assert target.decode("pte", napot).pfn == first
    va = target.mode.direct_map_base + (8 << 30)

    def new_table(_: object) -> int:
        return allocator(machine).reserve_any(1, 1, 0) << 12

    for page in range(16):
        tables.map_leaf(va + page * PAGE, first + page, "pte", KERNEL, new_table)
        machine.memory.write_word(tables.walk(va + page * PAGE)[-1].slot, napot)
        machine.memory.write_word((first + page) * PAGE + 8, page)
    tables.map_leaf(va + 16 * PAGE, 7 + first, "pte", KERNEL, new_table)
    frames = [*range(first, first + 16), first + 7]
    assert tables.frames(va, 17).tolist() == frames
    assert tables.frame_of(va + 5 * PAGE) == first + 5
    words = vas(*(va + page * PAGE + 8 for page in range(17)))
    assert [cpu.load_word(int(word)) for word in words] == [*range(16), 7]
    cpu.flush_all()
    assert bulk_of(cpu).load_words(words).tolist() == [*range(16), 7]
    cached = cpu.cached_translations()
    assert cached is not None
    assert [(int(at), int(pfn)) for at, pfn, _ in cached] == [
        (va + page * PAGE, pfn) for page, pfn in enumerate(frames)
    ]


def one(va: int) -> npt.NDArray[np.uint64]:
    return np.array([va], dtype=np.uint64)


WORDS: dict[str, Callable[[BulkCpu, int], object]] = {
    "load_word": lambda cpu, va: cpu.load_word(va),
    "store_word": lambda cpu, va: cpu.store_word(va, 1),
    "compare_and_swap": lambda cpu, va: cpu.compare_and_swap(va, 0, 1),
    "load_words": lambda cpu, va: cpu.load_words(one(va)),
    "store_words": lambda cpu, va: cpu.store_words(one(va), one(1)),
    "load_chain": lambda cpu, va: cpu.load_chain(va, 0),
    "copy_runs to it": lambda cpu, va: cpu.copy_runs(one(va), one(VA), 8),
    "copy_runs from it": lambda cpu, va: cpu.copy_runs(one(VA), one(va), 8),
    "write_entry": lambda cpu, va: cpu.write_entry(va, 1),
    "write_entries": lambda cpu, va: cpu.write_entries(va, one(1)),
    "write_entry_rows": lambda cpu, va: cpu.write_entry_rows(one(va), one(1).reshape(1, 1)),
    "exchange_entry": lambda cpu, va: cpu.exchange_entry(va, 0, 1),
    "read_entries": lambda cpu, va: cpu.read_entries(va, 1),
    "read_entry_rows": lambda cpu, va: cpu.read_entry_rows(one(va), 1),
}
PAGES: dict[str, Callable[[BulkCpu, int], object]] = {
    "copy_page to it": lambda cpu, va: cpu.copy_page(va, VA),
    "copy_page from it": lambda cpu, va: cpu.copy_page(VA, va),
    "copy_pages to it": lambda cpu, va: cpu.copy_pages(one(va), one(VA)),
    "copy_pages from it": lambda cpu, va: cpu.copy_pages(one(VA), one(va)),
}


@pytest.mark.parametrize("inside", [1, 4, 7, PAGE - 4])
@pytest.mark.parametrize("act", WORDS.values(), ids=WORDS)
def test_a_word_that_is_not_aligned_is_refused_with_its_address(
    act: Callable[[BulkCpu, int], object], inside: int
) -> None:
    refuses(act, VA + inside, "0x8")


@pytest.mark.parametrize("inside", [1, 8, PAGE - 8])
@pytest.mark.parametrize("act", PAGES.values(), ids=PAGES)
def test_a_page_that_is_not_aligned_is_refused_with_its_address(
    act: Callable[[BulkCpu, int], object], inside: int
) -> None:
    refuses(act, VA + inside, "0x1000")


def stored(box: Box) -> list[tuple[tuple[int, int], bytes]]:
    """The parts of memory that were ever stored to, with their bytes."""
    memory = box.machine.memory
    return [(part, memory.words[slice(*part)].tobytes()) for part in memory.changed(memory.first_pfn, memory.frames)]


def refuses(act: Callable[[BulkCpu, int], object], va: int, unit: str) -> None:
    box = Box()
    for page in range(2):
        box.map(page, FRAMES[page])
    assert is_bulk(box.cpu)
    before = stored(box)
    with pytest.raises(UsageError, match=f"VA {va:#x} is not aligned to {unit} bytes"):
        act(box.cpu, va)
    assert stored(box) == before


def test_a_run_of_bytes_that_are_not_whole_words_is_refused() -> None:
    box = Box()
    box.map(0, FRAMES[0])
    assert is_bulk(box.cpu)
    with pytest.raises(UsageError, match="12 bytes are not whole words"):
        box.cpu.copy_runs(one(VA), one(VA + 16), 12)


@pytest.mark.parametrize("architecture", [RISCV, ARM64], ids=["riscv", "arm64"])
def test_an_unaligned_swap_faults_before_the_walk_does(architecture: Architecture) -> None:
    cpu = build_machine(architecture.select(), MachineSpec(memory=64 << 20)).cpus[0]
    for swap in (cpu.compare_and_swap, cpu.exchange_entry):
        with pytest.raises(PageFault) as caught:
            swap(4, 0, 1)  # nothing is mapped at VA 0
        assert caught.value.fault.kind is FaultKind.ALIGNMENT


def test_an_exchange_that_fails_needs_the_permission_that_a_swap_needs() -> None:
    machine = build_machine(RISCV.select(profile="strict"), MachineSpec(memory=64 << 20))
    assert machine.guest is not None
    va, cpu = machine.guest.text_va, machine.cpus[0]
    there = cpu.load_word(va)
    assert cpu.exchange_entry(va, there + 1, 2) == there
    with pytest.raises(PageFault) as caught:
        cpu.exchange_entry(va, there, 2)
    assert caught.value.fault.access is Access.ATOMIC
