# SPDX-License-Identifier: GPL-2.0-only
"""Struct pages of a block that is freed: each demand of the allocator, in its words, and what is left behind."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.hugetlb.folio import FolioPages
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.release import KernelRelease
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2
from hvolab.trace import BadPages
from tests.machines import MIB, x86_64

_ORDER = 9
_TAIL = 100


def folio_of(release: KernelRelease, *, check_pages: bool = True) -> tuple[Machine, int]:
    """Return a machine and the VA of a compound page that is not used."""
    machine = build_machine(x86_64(release=release), MachineSpec(memory=128 * MIB, check_pages=check_pages))
    pfn = machine.alloc_pages(0, _ORDER)
    assert pfn is not None
    folio = machine.struct_pages.va(pfn)
    pages = FolioPages(machine, machine.cpus[0])
    pages.prep_compound(folio, _ORDER)
    pages.set_refcount(folio, 0)
    return machine, folio


def freed(machine: Machine, folio: int) -> dict[str, list[int]]:
    """Free the compound page; return the numbers of struct pages that the kernel reports, by the reason."""
    pfn = machine.struct_pages.pfn(folio)
    with machine.trace.record() as events:
        machine.free_pages(pfn, _ORDER)
    bad = [event for event in events if isinstance(event, BadPages) and event.reported]
    return {event.reason: (event.pfns - pfn).tolist() for event in bad}


@pytest.mark.parametrize("release", [V6_1, V6_12, V6_12_117, V7_2], ids=str)
def test_a_compound_page_as_the_kernel_makes_it_is_freed(release: KernelRelease) -> None:
    machine, folio = folio_of(release)
    assert freed(machine, folio) == {}
    assert machine.lost_frames == 0
    layout, first = machine.struct_pages.layout, machine.struct_pages.pfn(folio)
    rows = machine.struct_pages.rows(first, 1 << _ORDER)
    assert not rows[:, layout.mapping // 8].any()
    assert not (rows[:, layout.flags // 8] >> np.uint64(layout.pg_head) & np.uint64(1)).any()
    assert not rows[1:, layout.compound_head // 8].any()


@pytest.mark.parametrize(
    ("struct_page", "word", "value", "reason"),
    [
        (1, 16, 0, "nonzero large_mapcount"),
        (1, 20, 0, "nonzero entire_mapcount"),
        (1, 24, 3, "nonzero nr_pages_mapped"),
        (1, 28, 1, "nonzero pincount"),
        (2, 16, 0, "on deferred list"),
        (_TAIL, 24, 0, "corrupted mapping in tail page"),
        (_TAIL, 8, 0, "PageTail not set"),
        (_TAIL, 8, 0xFFFFEA0000000001, "compound_head not consistent"),
        (_TAIL, 48, 0xF4000000, "nonzero mapcount"),
        (_TAIL, 52, 1, "nonzero _refcount"),
        (_TAIL, 0, 1 << 13, "PAGE_FLAGS_CHECK_AT_FREE flag(s) set"),
        (0, 24, 1 << 12, "non-NULL mapping"),
    ],
)
@pytest.mark.parametrize("release", [V6_12, V6_12_117], ids=str)
def test_each_demand_is_reported_in_the_kernels_words(
    release: KernelRelease, struct_page: int, word: int, value: int, reason: str
) -> None:
    machine, folio = folio_of(release)
    size = 4 if (16 <= word < 32 and struct_page == 1) or word >= 48 else 8
    cpu, free = machine.cpus[0], machine.frames
    cpu.store(folio + struct_page * 64 + word, value.to_bytes(size, "little"))
    assert freed(machine, folio) == {reason: [struct_page]}
    assert machine.lost_frames == 1 << _ORDER
    assert free.allocate(0, 0, 0) != machine.struct_pages.pfn(folio)


def test_without_checks_the_block_is_freed_and_keeps_the_page_type() -> None:
    machine, folio = folio_of(V6_12, check_pages=False)
    cpu = machine.cpus[0]
    cpu.store_word(folio + _TAIL * 64 + 48, 0xF4000000)
    cpu.store_word(folio + _TAIL * 64, cpu.load_word(folio + _TAIL * 64) | 1 << 6)
    assert freed(machine, folio) == {}
    assert machine.lost_frames == 0
    assert cpu.load_word(folio + _TAIL * 64 + 48) == 0xF4000000
    assert not cpu.load_word(folio + _TAIL * 64) >> 6 & 1


def test_6_1_checks_every_struct_page_but_no_tail_as_a_tail() -> None:
    machine, folio = folio_of(V6_1, check_pages=False)
    machine.cpus[0].store_word(folio + _TAIL * 64 + 24, 0)
    machine.cpus[0].store(folio + (_TAIL + 1) * 64 + 48, bytes(4))
    assert freed(machine, folio) == {"nonzero mapcount": [_TAIL + 1]}


def test_7_2_follows_the_mask_of_a_tail_and_clears_the_type_of_a_head() -> None:
    machine, folio = folio_of(V7_2)
    machine.cpus[0].store(folio + 48, (0xF4000000).to_bytes(4, "little"))
    machine.cpus[0].store_word(folio + _TAIL * 64 + 8, -(64 << 5) % (1 << 64) | 1)  # leads to struct page 96
    assert freed(machine, folio) == {"compound_head not consistent": [_TAIL]}
