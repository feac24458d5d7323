# SPDX-License-Identifier: GPL-2.0-only
"""Pools of every release: what differs in their code, and what is left when each allocation fails in turn."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from hvolab.arch import Target
from hvolab.hugetlb import (
    Pool,
    alloc_bootmem_huge_page,
    demote_pool_huge_page,
    gather_bootmem_prealloc,
    hstates,
)
from hvolab.hvo import HasOrder, Hvo
from hvolab.invariants import Finding, Monitor
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.machine.frames.failure import FailCalls, FailFrom, NeverFail
from hvolab.machine.struct_pages import lists
from hvolab.plugin import registry
from hvolab.release import RELEASES, KernelRelease
from hvolab.release.releases import MM_2026, V6_1, V6_12, V6_12_117, V7_2
from hvolab.trace import PagesAllocated
from tests.core.hugetlb.test_pool import optimized
from tests.machines import GIB, MIB, Pools, pools
from tests.samples import one_in

_SMALL = MachineSpec(memory=256 * MIB)
_TWO_NODES = MachineSpec(memory=256 * MIB, nodes=2)
_GIGANTIC = MachineSpec(memory=3 * GIB, deferred_struct_pages=True)
EACH = pytest.mark.parametrize("release", RELEASES, ids=str)
#: Releases whose HVO x86_64 has.
X86 = pytest.mark.parametrize("release", [release for release in RELEASES if release.anywhere], ids=str)


def target_of(release: KernelRelease) -> Target:
    """Return the target of a release: of x86_64, or of the architecture that declares it."""
    return registry().architecture("x86_64" if release.anywhere else "arm64").select(release=release)


def lab_of(release: KernelRelease, spec: MachineSpec = _SMALL, size: int = 2 * MIB) -> tuple[Pools, Pool]:
    """Return a machine of a release, and its pool of a size."""
    lab = pools(spec, target_of(release))
    return lab, next(pool for pool in lab.pools if pool.h.size == size)


def undeclared(*findings: Finding) -> list[str]:
    return [str(finding) for finding in findings if not (finding.declared or finding.fault)]


# every failing allocation


def _grow(pool: Pool) -> None:
    pool.set_max_huge_pages(4)


def _shrink(pool: Pool) -> None:
    pool.set_max_huge_pages(0)


def _dissolve(pool: Pool) -> None:
    for folio in list(pool.free_folios()):
        pool.dissolve(folio)


def _surplus(pool: Pool) -> None:
    folio = pool.alloc_surplus()
    if folio is not None:
        pool.put(folio)


POLICIES: dict[str, tuple[MachineSpec, Callable[[int], FailFrom | FailCalls]]] = {
    "from": (_SMALL, FailFrom),
    "only": (_SMALL, lambda call: FailCalls(frozenset({call}))),
    "2 nodes": (_TWO_NODES, FailFrom),
}
FAILURES = [
    (release, act, policy)
    for policy in POLICIES
    for release in RELEASES
    for act in (_grow, _shrink, _dissolve, _surplus)
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("release", "act", "policy"), one_in(3, FAILURES, lambda one: f"{one[0]}-{one[1].__name__}-{one[2]}")
)
def test_every_allocation_failed_in_turn_breaks_nothing_in_any_release(
    release: KernelRelease,
    act: Callable[[Pool], None],
    policy: str,
) -> None:
    spec, fail = POLICIES[policy]
    call, calls = 0, 1
    while call <= calls:  # the first run fails none, and counts the calls
        lab, pool = lab_of(release, spec)
        if act is not _grow:
            pool.set_max_huge_pages(2)
        failure = fail(call) if call else FailCalls(frozenset())
        lab.frames.failure = failure
        monitor = Monitor(lab.machine)
        with monitor.watch():
            act(pool)
        lab.frames.failure = NeverFail()
        assert undeclared(*monitor.findings, *lab.findings()) == [], call
        pool.set_max_huge_pages(pool.h.nr)  # surplus becomes persistent
        pool.set_max_huge_pages(0)
        assert pool.h.nr == 0
        assert undeclared(*lab.findings()) == [], call
        calls = calls if call else failure.calls
        call += 1
    assert calls >= 2


# the head's struct page when HVO is called


@dataclass
class Spy:
    """HVO that notes, at each call, what hugetlb has written in the head: references, mark, HPG_freed."""

    hvo: Hvo
    seen: list[tuple[str, int, bool, bool]] = field(default_factory=list)
    pool: Pool = field(init=False)

    def _note(self, call: str, folios: list[int]) -> None:
        pages = self.pool.folio
        freed = self.hvo.machine.struct_pages.layout.hpg_freed
        for folio in folios:
            note = (call, pages.refcount(folio), pages.is_hugetlb(folio), pages.flag(folio, freed))
            self.seen += [] if note in self.seen else [note]

    def _listed(self, head: int) -> list[int]:
        lru = self.hvo.machine.struct_pages.layout.lru_next
        return [node - lru for node in lists.nodes(self.hvo.cpu, head)]

    def optimize_folio(self, h: HasOrder, folio: int) -> None:
        self._note("optimize", [folio])
        self.hvo.optimize_folio(h, folio)

    def restore_folio(self, h: HasOrder, folio: int) -> int:
        self._note("restore", [folio])
        return self.hvo.restore_folio(h, folio)

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        self._note("optimize list", self._listed(folio_list))
        self.hvo.optimize_folios(h, folio_list)

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        self._note("restore list", self._listed(folio_list))
        return self.hvo.restore_folios(h, folio_list, non_hvo_folios)


def spied(release: KernelRelease, spec: MachineSpec = _SMALL) -> tuple[Spy, list[Pool]]:
    machine: Machine = build_machine(target_of(release), spec)
    spy = Spy(Hvo(machine))
    return spy, [Pool(machine, h, spy) for h in hstates(machine)]


@X86
def test_heads_are_in_the_state_in_which_the_release_calls_hvo(release: KernelRelease) -> None:
    spy, found = spied(release)
    spy.pool = pool = found[0]
    pool.set_max_huge_pages(3)
    assert pool.dissolve(next(pool.free_folios())) == 0
    pool.set_max_huge_pages(0)
    if release is V6_1:  # marked once optimized; a removed folio has a reference and is still "free"
        assert spy.seen == [("optimize", 0, False, False), ("restore", 1, True, True)]
    else:
        assert spy.seen == [
            ("optimize list", 0, True, False),
            ("restore", 0, True, False),
            ("restore list", 0, True, False),
        ]


@pytest.mark.slow
@X86
def test_demotion_restores_frozen_heads(release: KernelRelease) -> None:
    spy, (small, large) = spied(release, _GIGANTIC)
    spy.pool = large
    large.set_max_huge_pages(1)
    spy.seen.clear()
    spy.pool = small
    assert demote_pool_huge_page(large, small, 1) == 1
    parts = ("optimize", 0, False, False) if release is V6_1 else ("optimize list", 0, True, False)
    restored = ("restore", 0, True, True) if release is V6_1 else ("restore list", 0, True, False)
    assert spy.seen == [restored, parts]


# lists, surplus, nodes


@X86
def test_the_first_free_folio_is_the_last_allocated_or_the_first(release: KernelRelease) -> None:
    lab, pool = lab_of(release)
    allocated: list[int] = []

    def note(event: object) -> None:
        if isinstance(event, PagesAllocated) and event.order == pool.h.order:
            allocated.extend(event.pfns.tolist())

    with lab.machine.trace.listen(note):
        pool.set_max_huge_pages(3)
    listed = [lab.machine.struct_pages.pfn(folio) for folio in pool.free_folios()]
    assert listed == (allocated[::-1] if release is V6_1 else allocated)


def surplus_left(lab: Pools, pool: Pool) -> None:
    """Grow a pool to two folios, one of which is a free surplus folio."""
    pool.set_max_huge_pages(2)
    lab.frames.failure = FailFrom(1)
    pool.set_max_huge_pages(1)
    lab.frames.failure = NeverFail()
    assert (pool.h.nr, pool.h.free, pool.h.surplus, pool.h.max_huge_pages) == (2, 2, 1, 1)


@EACH
@pytest.mark.parametrize("fails", [False, True])
def test_dissolving_a_surplus_folio_counts_it_since_v6_14(release: KernelRelease, fails: bool) -> None:  # noqa: FBT001
    lab, pool = lab_of(release)
    surplus_left(lab, pool)
    if fails:
        lab.frames.failure = FailFrom(1)
        assert pool.dissolve(next(pool.free_folios())) == -errno.ENOMEM
        assert (pool.h.nr, pool.h.surplus, pool.h.max_huge_pages) == (2, 1, 1)
    else:
        assert pool.dissolve(next(pool.free_folios())) == 0
        left = (1, 0, 1) if release not in {V6_1, V6_12} else (1, 1, 0)
        assert (pool.h.nr, pool.h.surplus, pool.h.max_huge_pages) == left
    assert undeclared(*lab.findings()) == []


@EACH
def test_surplus_folios_in_use_keep_free_ones_up_to_v6_16(release: KernelRelease) -> None:
    lab, pool = lab_of(release)
    pool.set_max_huge_pages(4)
    used = [pool.alloc_surplus(), pool.alloc_surplus()]
    pool.set_max_huge_pages(0)
    freed = release in {V7_2, MM_2026}
    assert (pool.h.nr, pool.h.free, pool.h.surplus) == ((2, 0, 2) if freed else (4, 2, 4))
    for folio in used:
        assert folio is not None
        pool.put(folio)
    assert (pool.h.nr, pool.h.surplus) == ((0, 0) if freed else (2, 2))
    assert undeclared(*lab.findings()) == []


@X86
def test_gigantic_folios_are_allocated_with_the_release_s_mask(release: KernelRelease) -> None:
    lab, pool = lab_of(release, _GIGANTIC, GIB)
    masks: dict[int, int] = {}

    def note(event: object) -> None:
        if isinstance(event, PagesAllocated) and event.order:
            masks[event.order] = event.gfp

    with lab.machine.trace.listen(note):
        pool.set_max_huge_pages(1)
        lab.pools[0].set_max_huge_pages(1)
    assert masks == {18: 0x300CC2 if release is V6_1 else 0x342CC2, 9: 0x346CCA}


@pytest.mark.slow
@EACH
def test_demotion_takes_nodes_in_turn(release: KernelRelease) -> None:
    spec = MachineSpec(memory=6 * GIB, nodes=2)
    lab, large = lab_of(release, spec, GIB)
    small = next(pool for pool in lab.pools if pool.h.order == large.h.demote_order)
    large.set_max_huge_pages(2)
    assert large.h.nr_node == [1, 1]
    large.h.next_node["free"] = 1
    assert demote_pool_huge_page(large, small, 1) == 1
    assert large.h.nr_node == [1, 0]
    assert demote_pool_huge_page(large, small, 1) == 1
    assert large.h.nr_node == [0, 0]
    assert undeclared(*lab.findings()) == []


@pytest.mark.slow
@EACH
def test_demotion_stops_at_the_first_folio_that_is_not_restored(release: KernelRelease) -> None:
    lab, large = lab_of(release, MachineSpec(memory=5 * GIB, deferred_struct_pages=True), GIB)
    small = next(pool for pool in lab.pools if pool.h.order == large.h.demote_order)
    large.set_max_huge_pages(2)
    before = lab.frames.failure = FailCalls(frozenset())
    assert demote_pool_huge_page(large, small, 1) == 1
    lab.frames.failure = FailFrom(before.calls // 2)
    assert demote_pool_huge_page(large, small, 1) == -errno.ENOMEM
    lab.frames.failure = NeverFail()
    parts = 1 << (large.h.order - small.h.order)
    assert (large.h.nr, large.h.free, large.h.max_huge_pages, small.h.nr) == (1, 1, 1, parts)
    assert undeclared(*lab.findings()) == []
    assert demote_pool_huge_page(large, small, 3) == 1
    assert demote_pool_huge_page(large, small, 1) == -errno.EBUSY
    assert (large.h.nr, small.h.nr) == (0, 2 * parts)


# struct pages of folios


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("fails", [False, True])
def test_gigantic_boot_folios_are_whole_in_every_release(release: KernelRelease, fails: bool) -> None:  # noqa: FBT001
    lab, pool = lab_of(release, _GIGANTIC, GIB)
    pool.h.max_huge_pages = 1  # as hugepages= sets it
    reserved = [alloc_bootmem_huge_page(pool)]
    lab.frames.failure = FailFrom(1) if fails else NeverFail()
    gather_bootmem_prealloc(pool, reserved)
    lab.frames.failure = NeverFail()
    assert optimized(pool) == (0 if fails else 1)
    assert (pool.h.nr, pool.h.free) == (1, 1)
    assert undeclared(*lab.findings()) == []
    pool.set_max_huge_pages(0)
    assert pool.h.nr == 0
    assert undeclared(*lab.findings()) == []


#: First struct pages of an optimized folio of 2 MiB by release: words from a byte of the folio on, without the links
#: of lists and, in flags, without node, zone and last CPU. `H` is the head's VA. From cores of 6.12.107 and 6.12.117,
#: and the stores of the functions of Debian's 6.1 and 7.2.
_H = "H"
WORDS: dict[KernelRelease, dict[int, Any]] = {
    V6_1: {0: 1 << 16, 64: 0, 72: (_H, 1), 80: 0xFFFFFFFF00000902, 88: 0x20000000000, 96: 0, 168: 0, 232: 0},
    V6_12: {0: 1 << 6, 64: 9, 72: (_H, 1), 80: (1 << 64) - 1, 88: 0, 96: 0x200, 104: 0, 144: 0, 152: 0, 160: 0},
    V6_12_117: {0: 1 << 6, 64: 9, 72: (_H, 1), 80: (1 << 64) - 1, 88: 0, 96: 0x200, 144: (_H, 0x90), 152: (_H, 0x90)},
    V7_2: dict(
        zip(
            (0, 64, 72, 80, 88, 96, 104, 120, 144, 152, 208, 216, 224),
            (
                1 << 6,
                9,
                0xFFFFFFFFFFFF8001,
                0xFFFFFFFF,
                0xFFFFFFFF,
                (1 << 64) - 1,
                0,
                0x200,
                *[(_H, 0x90)] * 2,
                0,
                0,
                0,
            ),
            strict=True,
        )
    ),
}
TAIL_MAPPING = 0xDEAD000000000400


@X86
def test_struct_pages_of_a_folio_have_what_the_release_s_kernels_write(release: KernelRelease) -> None:
    lab, pool = lab_of(release)
    pool.set_max_huge_pages(1)
    folio, word = next(pool.free_folios()), lab.machine.cpus[0].load_word
    links = lab.machine.struct_pages.layout.links(0, 1)
    for offset, expected in WORDS[release].items():
        value = folio + expected[1] if isinstance(expected, tuple) else expected
        found = word(folio + offset)
        if offset == 80 and release is V6_1:  # two bytes are not written
            found &= ~0xFFFF0000
        assert found & ~(links if offset % 64 == 0 else 0) == value, offset
    used = lab.machine.struct_pages.layout.used_subpages
    mappings = [word(folio + 64 * tail + 24) == TAIL_MAPPING for tail in range(1, 8)]
    assert mappings == [tail >= used for tail in range(1, 8)]
    marked = word(folio + (80 if release is V6_1 else 48))
    assert marked & (0xFF if release is V6_1 else 0xFFFFFFFF) == (2 if release is V6_1 else 0xF4000000)


def test_gigantic_tails_of_v6_1_have_no_tail_mapping() -> None:
    lab, pool = lab_of(V6_1, _GIGANTIC, GIB)
    pool.set_max_huge_pages(1)
    folio, word = next(pool.free_folios()), lab.machine.cpus[0].load_word
    assert {word(folio + 64 * tail + 24) for tail in range(2, 64)} == {0}
    assert {word(folio + 64 * tail + 8) for tail in range(1, 64)} == {folio | 1}
    assert word(folio + 80) >> 8 & 0xFF == 18
