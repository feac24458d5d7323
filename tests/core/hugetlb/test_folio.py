# SPDX-License-Identifier: GPL-2.0-only
"""Struct pages of a folio, field by field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hvolab.machine import MachineSpec
from tests.machines import GIB, MIB, pools, x86_64
from tests.made_up import MADE_UP

_SMALL = MachineSpec(memory=512 * MIB)
_GIGANTIC = MachineSpec(memory=3 * GIB, deferred_struct_pages=True)


def test_struct_pages_of_a_folio_say_what_a_booted_kernel_s_say() -> None:
    """Flags, order, page count, mapcounts, TAIL_MAPPING and page type as in the captures of 6.12."""
    lab = pools(_SMALL)
    lab.pools[0].set_max_huge_pages(1)
    folio = next(lab.pools[0].free_folios())
    word = lab.machine.cpus[0].load_word
    links = word(folio) & ~0x7F
    assert links == 0xFFFFFC0000000  # zone DMA32, node 0, no last CPU
    head = [word(folio + 8 * index) for index in range(8)]
    first, second, third = ([word(folio + 64 * slot + 8 * index) for index in range(8)] for slot in (1, 2, 3))
    assert head[0] == links | 0x40
    assert head[3:] == [0, 0, 0x18, 0xF4000000, 0]
    assert first == [links | 9, folio | 1, (1 << 64) - 1, 0, 0x200, 0, 0xFFFFFFFF, 0]
    assert second == [links, folio | 1, 0, 0, 0, 0, 0xFFFFFFFF, 0]
    assert third == [links, folio | 1, folio + 3 * 64 + 8, 0xDEAD000000000400, 0, 0, 0xFFFFFFFF, 0]


def test_flags_type_and_references_are_changed_one_by_one() -> None:
    lab = pools(_SMALL)
    pool = lab.pools[0]
    pool.set_max_huge_pages(1)
    (folio,), layout = pool.live, lab.machine.struct_pages.layout
    assert pool.folio.flag(folio, layout.hpg_freed)
    pool.folio.set_flag(folio, layout.hpg_migratable, value=True)
    assert (
        pool.folio.private(folio)
        == 1 << layout.hpg_freed | 1 << layout.hpg_migratable | 1 << layout.hpg_vmemmap_optimized
    )
    pool.folio.set_refcount(folio, 3)
    pool.folio.set_hugetlb(folio, hugetlb=False)
    assert (pool.folio.refcount(folio), pool.folio.is_hugetlb(folio)) == (3, False)
    pool.folio.set_hugetlb(folio, hugetlb=True)
    assert (pool.folio.refcount(folio), pool.folio.is_hugetlb(folio)) == (3, True)
    assert pool.folio.node(folio) == 0


def test_a_compound_page_is_made_and_cleared() -> None:
    lab = pools(_SMALL)
    pages, folio = lab.pools[0].folio, lab.machine.struct_pages.va(0x8000)
    word = lab.machine.cpus[0].load_word
    pages.prep_compound(folio, 9)
    assert [word(folio + 64 * tail + 8) for tail in (1, 2, 511)] == [folio | 1] * 3
    assert word(folio) & 0x40
    pages.destroy_compound(folio, 9)
    assert [word(folio + 64 * tail + 8) for tail in (1, 2, 511)] == [0] * 3
    assert not word(folio) & 0x40


#: Bytes of a folio of 8,192 pages by release, from an offset on, where the byte order is big.
BIG = {
    "6.1": {80: b"\x02\x0d", 84: b"\xff" * 4, 88: bytes(4), 92: b"\x00\x00\x20\x00"},
    "6.12": {48: b"\xf4" + bytes(3), 64: b"\x00\x17\xff\xff\xc0\x00\x00\x0d", 96: b"\x00\x00\x20\x00"},
    "7.2": {48: b"\xf4" + bytes(3), 71: b"\x0d", 80: b"\xff" * 4 + bytes(4), 120: b"\x00\x00\x20\x00"},
}


@pytest.mark.parametrize("release", BIG)
def test_fields_of_bytes_and_halves_are_where_c_has_them_in_either_byte_order(release: str) -> None:
    target = MADE_UP.select(release=release)
    assert target.architecture.byte_order == "big"
    lab = pools(MachineSpec(memory=256 * MIB), target)
    pool = lab.pools[-1]
    pool.set_max_huge_pages(1)
    folio = next(pool.free_folios())
    for offset, octets in BIG[release].items():
        assert lab.machine.cpus[0].load(folio + offset, len(octets)) == octets, offset
    assert pool.folio.is_hugetlb(folio)
    pool.folio.set_refcount(folio, 3)
    assert lab.machine.cpus[0].load(folio + 52, 4) == b"\x00\x00\x00\x03"
    assert pool.folio.is_hugetlb(folio)
    pool.folio.set_hugetlb(folio, hugetlb=False, gigantic=True)
    assert (pool.folio.is_hugetlb(folio), pool.folio.refcount(folio)) == (False, 3)


@pytest.mark.parametrize(("release", "stored"), [("6.1", False), ("6.12", True), ("6.12.117", False), ("7.2", False)])
def test_only_a_list_that_fields_of_hugetlb_have_overwritten_is_emptied(release: str, stored: bool) -> None:  # noqa: FBT001
    lab = pools(_SMALL, x86_64(release=release))
    folio = lab.machine.struct_pages.va(0x8000)
    lab.machine.cpus[0].store(folio, b"\x5a" * 256)
    lab.pools[0].folio.init_deferred_list(folio)
    head = folio + 2 * 64 + 16
    words = [lab.machine.cpus[0].load_word(folio + 8 * index) for index in range(32)]
    assert words.count(0x5A5A5A5A5A5A5A5A) == 32 - 2 * stored
    assert (words[18:20] == [head, head]) == stored


@pytest.mark.parametrize("gigantic", [False, True])
def test_gigantic_compound_pages_of_v6_1_have_no_destructor_and_no_mapping_in_tails(gigantic: bool) -> None:  # noqa: FBT001
    lab = pools(_SMALL, x86_64(release="6.1"))
    pages, folio = lab.pools[0].folio, lab.machine.struct_pages.va(0x8000)
    cpu, layout = lab.machine.cpus[0], lab.machine.struct_pages.layout
    cpu.store(folio + 64, b"\x5a" * 64)
    pages.prep_compound(folio, 9, **({"gigantic": True} if gigantic else {}))
    assert cpu.load(folio + 64 + 16, 2) == (b"\x5a\x09" if gigantic else b"\x01\x09")
    assert (cpu.load_word(folio + 5 * 64 + layout.mapping) == layout.tail_mapping) is not gigantic
    pages.destroy_compound(folio, 9)
    assert cpu.load(folio + 64 + 16, 16) == (b"\x5a" if gigantic else b"\x01") + b"\0\x5a\x5a" + bytes(12)


def test_parts_of_a_demoted_folio_keep_type_and_references_of_their_tails() -> None:
    lab = pools(_SMALL)
    pages, folio, cpu = lab.pools[0].folio, lab.machine.struct_pages.va(0x8000), lab.machine.cpus[0]
    tail = folio + 5 * 64
    for fresh, octets in ((False, b"\x5a" * 8), (True, b"\xff" * 4 + bytes(4))):
        cpu.store(tail, b"\x5a" * 64)
        pages.prep_compound(folio, 9, fresh=fresh)
        assert cpu.load(tail + 48, 8) == octets


def test_a_field_beyond_its_struct_page_is_not_stored() -> None:
    target = x86_64(release="7.2")
    for size, stored in ((64, True), (56, False)):
        lab = pools(MachineSpec(memory=256 * MIB, layout=replace(target.struct_page, size=size)), target)
        folio, cpu = lab.machine.struct_pages.va(0x8000), lab.machine.cpus[0]
        cpu.store(folio, b"\xff" * (4 * size))
        lab.pools[0].folio.prep_head(folio, 9, gigantic=False)
        found = cpu.load(folio + size + 56, 4) == (512).to_bytes(4, "little")
        assert found == stored, size
        deferred = folio + 2 * size + 16  # an empty list, whatever was there
        assert [cpu.load_word(deferred + link) for link in (0, 8)] == [deferred] * 2


def test_a_part_that_becomes_a_head_has_neither_link_nor_mapping() -> None:
    lab = pools(_SMALL)
    pages, folio, layout = lab.pools[0].folio, lab.machine.struct_pages.va(0x8000), lab.machine.struct_pages.layout
    pages.prep_compound(folio, 9)
    part, word = folio + 16 * 64, lab.machine.cpus[0].load_word
    assert word(part + layout.compound_head) == folio | 1
    pages.unlink_tail(part)
    assert (word(part + layout.compound_head), word(part + layout.mapping)) == (0, 0)


def test_flags_are_dropped_only_where_named() -> None:
    lab = pools(_SMALL)
    pages, folio = lab.pools[0].folio, lab.machine.struct_pages.va(0x8000)
    pages.prep_compound(folio, 9)
    flags = lab.machine.cpus[0].load_word(folio) | 1  # PG_locked, the lowest one
    lab.machine.cpus[0].store_word(folio, flags)
    pages.prep_head(folio, 9, gigantic=False)
    assert lab.machine.cpus[0].load_word(folio) == flags


def test_the_mark_of_a_gigantic_folio_is_cleared_only_if_that_is_said() -> None:
    lab = pools(_SMALL, x86_64(release="6.1"))
    pages, folio = lab.pools[0].folio, lab.machine.struct_pages.va(0x8000)
    pages.prep_compound(folio, 9)
    for gigantic, octet in ((False, b"\x01"), (True, b"\0")):
        pages.set_hugetlb(folio, hugetlb=True)
        pages.set_hugetlb(folio, hugetlb=False, **({"gigantic": True} if gigantic else {}))
        assert lab.machine.cpus[0].load(folio + 64 + 16, 1) == octet


@pytest.mark.parametrize("release", ["6.1", "6.12", "7.2"])
def test_struct_pages_that_held_anything_are_those_of_a_gigantic_folio_once_initialized(release: str) -> None:
    lab = pools(_SMALL, x86_64(release=release))
    pool, layout = lab.pools[-1], lab.machine.struct_pages.layout
    folio, cpu = lab.machine.struct_pages.va(0x8000), lab.machine.cpus[0]
    links, count = cpu.load_word(folio), 512
    cpu.store(folio, b"\x5a" * (count * layout.size))
    pool.folio.init_vmemmap(folio, 0, 1, links, 9)
    pool.folio.init_vmemmap(folio, 1, 64, links, 9)
    pool.folio.init_vmemmap(folio, 64, count, links, 9)
    tails = np.frombuffer(cpu.load(folio, count * layout.size), "<u8").reshape(count, -1)
    assert not (tails == 0x5A5A5A5A5A5A5A5A).any()
    assert (tails[:, 0] == links).all()
    own = folio + np.arange(count, dtype=np.uint64) * np.uint64(layout.size) + np.uint64(layout.lru_next)
    assert (tails[:, layout.lru_prev // 8] == np.where(tails[:, layout.lru_prev // 8] > 1 << 63, own, 0)).all()
    assert tails[0, layout.lru_prev // 8] == own[0]
    assert (tails[1:, layout.compound_head // 8] == np.uint64(layout.tail_link(folio, 9))).all()
