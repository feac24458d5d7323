# SPDX-License-Identifier: GPL-2.0-only
"""Struct pages of a folio, field by field."""

from __future__ import annotations

import pytest

from hvolab.machine import MachineSpec
from tests.machines import GIB, MIB, pools
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
