# SPDX-License-Identifier: GPL-2.0-only
"""Checks of the exercises: each says whether its subject was understood."""

import exercises
import pytest

from hvolab.arch import PageFault
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import EngineSetup, Hvo, VmemmapSizes
from hvolab.invariants import check
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.frames.failure import FailCalls
from hvolab.plugin import registry
from hvolab.scenario import ScenarioSpec, run_scenario
from hvolab.trace import PagesAllocated, PagesFreed

X86 = registry().architecture("x86_64").select("4-level")
PAGE, VALUE = 4096, 0x5EC7E7


def grown(folios=1):
    machine = build_machine(X86, MachineSpec(memory=512 << 20))
    pool = Pool(machine, hstates(machine)[0], Hvo(machine))
    with machine.trace.record() as events:
        pool.set_max_huge_pages(folios)
    return machine, pool, sorted(pool.live), events


@pytest.mark.parametrize("pfn", [0, 1, 0x1200, 0x1FFFF])
def test_1_the_vmemmap_is_an_array(pfn):
    machine, *_ = grown()
    assert exercises.struct_page_va(pfn, X86.mode.vmemmap_base, 64) == machine.struct_pages.va(pfn)


@pytest.mark.parametrize(
    ("huge", "base", "size"),
    [(2 << 20, 4096, 64), (1 << 30, 4096, 64), (64 << 10, 4096, 64), (512 << 20, 65536, 64), (2 << 20, 4096, 80)],
)
def test_2_what_is_saved(huge, base, size):
    right = VmemmapSizes((huge // base).bit_length() - 1, base, size)
    assert exercises.frames_saved(huge, base, size) == (right.saved_pages if right.optimizable else 0)


def test_3_tails_share_a_frame():
    machine, _, (folio,), _ = grown()
    exercises.store_to_every_tail(machine, folio)
    assert [machine.cpus[0].load_word(folio + page * PAGE + 0x38) for page in range(8)] == [VALUE] * 8


def test_4_an_entry_and_a_translation_deny_the_store():
    machine, pool, (folio,), _ = grown()
    tail = folio + PAGE + 0x38
    with pytest.raises(PageFault):
        machine.cpus[0].store_word(tail, VALUE)
    exercises.make_a_tail_writable(machine, folio)
    machine.cpus[0].store_word(tail, VALUE)
    assert machine.cpus[0].load_word(folio + 0x38) == VALUE, "the head page did not change: another frame is mapped"
    assert any(finding.rule == "remapped" for finding in check(machine, [pool]))


@pytest.mark.parametrize("count", [1, 10, 70])
def test_5_one_table_for_each_pmd(count):
    _, _, folios, events = grown(count)
    singles = [event for event in events if isinstance(event, PagesAllocated) and not event.order]
    assert exercises.page_tables_needed(folios) == sum(event.pfns.size for event in singles) - count  # and a head each


def test_6_a_copy_of_the_head_is_no_head():
    machine, _, folios, _ = grown(2)
    for folio in folios:
        found = {exercises.head_of(folio + 64 * index, machine.cpus[0].load_word) for index in range(512)}
        assert found == {folio}
    plain = machine.struct_pages.va(0x100)
    assert exercises.head_of(plain, machine.cpus[0].load_word) == plain


def test_7_a_restore_takes_all_or_nothing():
    machine, pool, (folio,), _ = grown()
    before = machine.tables.frames(folio, 8).tolist()
    number = exercises.allocation_that_wastes_most()
    assert isinstance(number, int)
    machine.frames.failure = FailCalls(frozenset({number}))
    with machine.trace.record() as events:
        result = pool.hvo.restore_folio(pool.h, folio)
    assert result < 0, "the restore succeeds"
    assert machine.tables.frames(folio, 8).tolist() == before
    freed = sum(event.pfns.size for event in events if isinstance(event, PagesFreed))
    assert freed == 6, f"{freed} pages were freed again; more is possible"


def test_8_a_flush_comes_before_the_free():
    setup = EngineSetup(exercises.TooEarly)
    result = run_scenario(ScenarioSpec(X86, memory=256 << 20, hugepages={2 << 20: 2}, engine=setup))
    rules = {finding.rule for finding in result.findings if not finding.declared}
    assert "flushed" in rules, f"rules that were broken: {sorted(rules) or 'none'}"
