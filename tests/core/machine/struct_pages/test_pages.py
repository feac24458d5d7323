# SPDX-License-Identifier: GPL-2.0-only
"""Struct pages: found where the tables map them now, however the vmemmap was split and remapped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import AbsentMemoryError
from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.release import DEFAULT
from hvolab_x86_64.description import X86_64
from tests.folios import Hstate, new_folio

PMD_ORDER = 9
H = Hstate(PMD_ORDER)


def a_machine() -> Machine:
    return build_machine(X86_64.select(), MachineSpec(memory=512 << 20))


def one_by_one(machine: Machine, pfns: list[int]) -> list[int]:
    """Where each struct page is, by a walk for its VA."""
    pages, found = machine.struct_pages, []
    for pfn in pfns:
        frame = machine.tables.frame_of(pages.va(pfn))
        assert frame is not None
        found.append((frame << 12) + (pages.va(pfn) & 0xFFF) - machine.memory.base)
    return found


@pytest.fixture(scope="module")
def patchwork() -> Machine:
    """PMD leaves, a split PMD that nobody remapped, and folios optimized, restored and left alone."""
    machine = a_machine()
    hvo = Hvo(machine)
    folios = [new_folio(machine, PMD_ORDER) for _ in range(100)]
    for folio in folios[:20:2]:
        hvo.optimize_folio(H, folio)
    for folio in folios[:20:6]:
        assert hvo.restore_folio(H, folio) == 0
    levels = {machine.tables.find(machine.struct_pages.va(pfn)).level.name for pfn in range(0, 0x20000, 64)}
    assert levels == {"pmd", "pte"}
    return machine


@given(pfns=st.lists(st.integers(0, (512 << 8) - 1), min_size=1, max_size=40))
def test_any_struct_pages_are_found_where_a_walk_finds_each(patchwork: Machine, pfns: list[int]) -> None:
    located = patchwork.struct_pages.locate(np.array(pfns, dtype=np.int64))
    assert located.tolist() == one_by_one(patchwork, pfns)


@given(start=st.integers(0, (512 << 8) - 3000), count=st.integers(1, 3000))
def test_a_run_over_split_and_remapped_vmemmap_is_found(patchwork: Machine, start: int, count: int) -> None:
    pfns = np.arange(start, start + count, dtype=np.int64)
    located = patchwork.struct_pages.locate(pfns)
    sampled = range(0, count, 61)
    assert located[::61].tolist() == one_by_one(patchwork, [start + position for position in sampled])


def test_one_struct_page_is_found_as_in_a_run(patchwork: Machine) -> None:
    pages = patchwork.struct_pages
    pfns = np.arange(0, 0x20000, 509, dtype=np.int64)
    assert [pages.locate_one(int(pfn)) for pfn in pfns] == pages.locate(pfns).tolist()


def test_the_entries_on_the_way_to_a_struct_page_are_those_of_a_walk(patchwork: Machine) -> None:
    pages, base = patchwork.struct_pages, patchwork.memory.base
    for pfn in range(0, 0x20000, 4093):
        slots = [(step.slot - base) // WORD_BYTES for step in patchwork.tables.walk(pages.va(pfn))]
        assert pages.locate_with_entries(pfn) == (pages.locate_one(pfn), *slots)


@pytest.mark.parametrize("remembered", [1, 4096])
def test_one_struct_page_is_found_where_it_has_moved_to_since_it_was_asked_for_last(
    remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hvolab.machine.struct_pages.pages._MOST_WALKS", remembered)
    machine = a_machine()
    folio, pages = new_folio(machine, PMD_ORDER), machine.struct_pages
    pfns = np.arange(pages.pfn(folio), pages.pfn(folio) + (1 << PMD_ORDER), 61, dtype=np.int64)
    before = [pages.locate_one(int(pfn)) for pfn in pfns]
    assert before == [pages.locate_one(int(pfn)) for pfn in pfns]  # as it remembers
    hvo = Hvo(machine)
    hvo.optimize_folio(H, folio)
    optimized = [pages.locate_one(int(pfn)) for pfn in pfns]
    assert optimized != before
    assert optimized == pages.locate(pfns).tolist()
    assert optimized == [pages.locate_one(int(pfn)) for pfn in pfns]
    assert hvo.restore_folio(H, folio) == 0
    assert [pages.locate_one(int(pfn)) for pfn in pfns] == pages.locate(pfns).tolist()


def test_no_struct_pages_are_nowhere(patchwork: Machine) -> None:
    assert patchwork.struct_pages.locate(np.array([], dtype=np.int64)).size == 0


def test_tails_of_an_optimized_folio_share_the_bytes_of_the_head() -> None:
    machine = a_machine()
    folio, pages = new_folio(machine, PMD_ORDER), machine.struct_pages
    pfn = pages.pfn(folio)
    Hvo(machine).optimize_folio(H, folio)
    alike = pages.locate(np.arange(pfn + 5, pfn + 512, 64, dtype=np.int64))
    assert np.unique(alike).size == 1


def test_va_and_pfn_are_each_others_inverse() -> None:
    pages = a_machine().struct_pages
    assert pages.va(0) == 0xFFFFEA0000000000
    assert pages.va(0x5A00) == 0xFFFFEA0000168000
    assert [pages.pfn(pages.va(pfn)) for pfn in (0, 1, 0x5A00)] == [0, 1, 0x5A00]


@pytest.mark.parametrize("others", [[], [0, 1], list(range(20))], ids=["alone", "with two", "in a run"])
def test_a_struct_page_that_is_not_mapped_is_absent(others: list[int]) -> None:
    machine = a_machine()
    beyond = 1 << 30
    with pytest.raises(AbsentMemoryError, match=f"PFN {beyond:#x} cannot be reached"):
        machine.struct_pages.locate(np.array([*others, beyond], dtype=np.int64))


@pytest.mark.parametrize("others", [[], [0, 1], list(range(20))], ids=["alone", "with two", "in a run"])
def test_the_absent_one_is_named_and_not_the_first_of_its_table(others: list[int]) -> None:
    machine = a_machine()
    Hvo(machine).split_folio(H, new_folio(machine, PMD_ORDER))
    pages = machine.struct_pages
    machine.memory.write_word(machine.tables.find(pages.va(64)).slot, 0)
    assert machine.tables.find(pages.va(64)).level.name == "pte"
    with pytest.raises(AbsentMemoryError, match="PFN 0x41 cannot be reached: its vmemmap is not mapped"):
        pages.locate(np.array([*others, 65], dtype=np.int64))


@pytest.mark.parametrize("others", [[], list(range(0x8000, 0x8014))], ids=["alone", "in a run"])
def test_a_struct_page_whose_frame_is_not_in_memory_is_absent(others: list[int]) -> None:
    machine = a_machine()
    slot = machine.tables.find(machine.struct_pages.va(0)).slot
    machine.memory.write_word(slot, machine.target.leaf("pmd", 1 << 24, machine.target.pgprots[2][0]))
    with pytest.raises(AbsentMemoryError, match="the frame that holds it is not in memory"):
        machine.struct_pages.locate(np.array([*others, 3], dtype=np.int64))


def test_a_struct_page_whose_frame_a_core_lacks_is_absent() -> None:
    machine = a_machine()
    frame = int(machine.struct_pages.locate(np.array([64]))[0]) >> 12
    machine.memory.present = np.ones(machine.memory.frames, dtype=np.bool_)
    machine.memory.present[frame] = False
    machine.struct_pages.locate(np.array([0, 63, 128]))
    for pfns in ([64], [0, 64], [*range(20), 64]):
        with pytest.raises(AbsentMemoryError, match="PFN 0x40 cannot be reached"):
            machine.struct_pages.locate(np.array(pfns))


def test_initialized_struct_pages_are_as_boot_leaves_them() -> None:
    machine = a_machine()
    pages, layout = machine.struct_pages, machine.struct_pages.layout
    pages.initialize(0x7FF0, 32, node=3, zone=2, refcount=1, reserved=True)  # over the border of two PMDs
    pfns = np.arange(0x7FF0, 0x7FF0 + 32)
    flags = pages.words(pfns, layout.flags)
    assert {(layout.node(flag), layout.zone(flag), flag >> layout.pg_reserved & 1) for flag in flags.tolist()} == {
        (3, 2, 1)
    }
    itself = [pages.va(int(pfn)) + layout.lru_next for pfn in pfns]
    assert pages.words(pfns, layout.lru_next).tolist() == pages.words(pfns, layout.lru_prev).tolist() == itself
    where = pages.locate(pfns)
    assert set(machine.memory.halves[(where + layout.refcount) // 4].tolist()) == {1}
    assert set(machine.memory.halves[(where + layout.page_type) // 4].tolist()) == {0xFFFFFFFF}


def test_struct_pages_of_scattered_frames_are_initialized_too() -> None:
    machine = a_machine()
    folio, pages = new_folio(machine, PMD_ORDER), machine.struct_pages
    pfn, hvo = pages.pfn(folio), Hvo(machine)
    hvo.optimize_folio(H, folio)
    assert hvo.restore_folio(H, folio) == 0
    assert (np.diff(machine.tables.frames(folio, 8)) != 1).any()
    pages.initialize(pfn, 512, node=0, zone=2)
    layout, pfns = pages.layout, np.arange(pfn, pfn + 512)
    assert (pages.words(pfns, layout.flags) == layout.links(0, 2)).all()
    assert pages.words(pfns, layout.lru_next).tolist() == [pages.va(int(one)) + layout.lru_next for one in pfns]


def test_a_word_is_stored_in_each_struct_page_named_and_no_other() -> None:
    machine = a_machine()
    pages = machine.struct_pages
    pages.set_words(np.array([3, 0x9000]), 56, 0xABC)
    assert pages.words(np.array([2, 3, 4, 0x9000, 0x9001]), 56).tolist() == [0, 0xABC, 0, 0xABC, 0]
    assert machine.memory.words[pages.locate_one(3) // WORD_BYTES + 7] == 0xABC


def test_a_zone_that_a_kernel_does_not_have_is_its_normal_zone() -> None:
    riscv = replace(DEFAULT.struct_page, zones=("DMA32", "NORMAL", "MOVABLE"))
    assert [riscv.zone_number(name) for name in ("DMA32", "NORMAL", "MOVABLE", "DMA")] == [0, 1, 2, 1]
    assert [DEFAULT.struct_page.zone_number(name) for name in ("DMA", "DMA32", "NORMAL")] == [0, 1, 2]


def test_a_tail_names_its_head_or_what_to_mask_its_own_address_with() -> None:
    assert DEFAULT.struct_page.tail_link(0xFFFFEA0000008000, 9) == 0xFFFFEA0000008001
    masked = replace(DEFAULT.struct_page, masks_compound=True)
    assert masked.tail_link(0xFFFFEA0000008000, 9) == 0xFFFFFFFFFFFF8001


def test_the_optimized_flag_is_read_in_the_head_that_the_tables_map() -> None:
    machine = a_machine()
    hvo, folios = Hvo(machine), [new_folio(machine, PMD_ORDER) for _ in range(3)]
    hvo.optimize_folio(H, folios[1])
    pfns = np.array([machine.struct_pages.pfn(folio) for folio in folios], dtype=np.int64)
    assert machine.struct_pages.optimized(pfns).tolist() == [False, True, False]
