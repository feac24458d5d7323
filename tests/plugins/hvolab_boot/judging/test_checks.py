# SPDX-License-Identifier: GPL-2.0-only
"""Rules for the kernel's own report: each is broken by 6.12.117's memory, or by changed readings."""

from __future__ import annotations

import pytest

from hvolab_boot.guest.readings import HugeRun, PoolCounts
from hvolab_boot.judging.checks import check_all, is_error, log_findings
from hvolab_boot.judging.result import BootFinding
from tests.plugins.hvolab_boot.guests import OPTIMIZED, RESTORED, SMALL, messages, readings, stage

PAGES = 8 * SMALL
#: What HVO freed of eight pages, less two page tables.
NET = 8 * 7 * 4096


def found(*, pages: int = 0, lost: int = 0, flagged: int | None = None, **changes: object) -> dict[str, BootFinding]:
    """The findings of a second stage after one without huge pages."""
    core = OPTIMIZED if pages else RESTORED
    first = stage("boot", RESTORED, readings(free=1 << 30, vmemmap={"nr_memmap_pages": 100}))
    saved = stage("any", core, readings()).held - stage("any", RESTORED, readings()).held
    free = (1 << 30) - pages * SMALL - saved - lost
    second = stage("then", core, readings(pages, free, flagged, **changes))
    return {one.kind: one for one in check_all([first, second], SMALL) if one.stage == "then"}


def test_a_right_kernel_breaks_no_rule() -> None:
    assert found(pages=8) == {}


def test_copies_of_heads_in_memory_are_counted() -> None:
    assert found()["stale-head"].count == 56


@pytest.mark.parametrize(("lost", "pages"), [(0, 0), (SMALL - 4096, 0), (SMALL, 1), (8 * SMALL + 4096, 8)])
def test_free_memory_that_is_missing_is_counted_in_huge_pages(lost: int, pages: int) -> None:
    finding = found(lost=lost).get("lost-memory")
    assert (finding.count if finding else 0) == pages


def test_pages_in_lists_of_cpus_are_free() -> None:
    assert "lost-memory" not in found(lost=SMALL, cpu_lists=SMALL)


def test_counters_have_to_change_as_the_frames_do() -> None:
    freed = -8 * 7
    assert "wrong-counter" not in found(pages=8, vmemmap={"nr_memmap_pages": 100 + freed})
    assert found(pages=8, vmemmap={"nr_memmap_pages": 100})["wrong-counter"].count == 56


def test_flags_of_pages_have_to_be_those_of_the_pools() -> None:
    assert found(flagged=56)["wrong-page-flags"].count == 56


def test_huge_pages_that_are_not_optimized_are_a_finding_if_hvo_is_on() -> None:
    assert found(pages=9)["not-optimized"].count == 1
    assert "not-optimized" not in found(pages=9, hvo=0)


def test_huge_pages_that_are_too_small_for_hvo_need_not_be_optimized() -> None:
    small = PoolCounts(64 << 10, 16, 16, 0)
    second = stage("then", RESTORED, readings(pools=(small,), page_size=16 << 10, huge=(HugeRun(0x5800, 64, 16, 0),)))
    kinds = {one.kind for one in check_all([stage("boot", RESTORED, readings()), second], SMALL)}
    assert not kinds & {"not-optimized", "wrong-page-flags"}


def test_errors_in_the_log_are_counted_with_their_reasons() -> None:
    log = messages(
        [
            "BUG: Bad page state in process init  pfn:02240",
            "page dumped because: nonzero mapcount",
            "BUG: Bad page state in process init  pfn:02241",
            "page dumped because: corrupted mapping in tail page",
            "BUG: Bad page state: 10 messages suppressed",
            "WARNING: CPU: 0 PID: 1 at mm/hugetlb_vmemmap.c:1",
            "random: crng init done",
        ]
    )
    by_kind = {one.kind: one for one in log_findings("then", log)}
    assert {kind: one.count for kind, one in by_kind.items()} == {"bad-page": 12, "kernel-warning": 1}
    assert "1 times 'nonzero mapcount'" in by_kind["bad-page"].text
    assert [is_error(one) for one in log] == [True, False, True, False, True, True, False]


def test_what_the_kernel_says_while_it_boots_is_not_about_the_plan() -> None:
    first = stage("boot", RESTORED, readings(messages=messages(["WARNING: CPU: 0 PID: 0 at arch/x86"])))
    assert {one.by for one in check_all([first], SMALL)} == {"memory"}


def test_memory_that_was_not_read_decides_nothing() -> None:
    first, then = (stage(name, None, readings(free=free)) for name, free in (("boot", 1 << 30), ("then", 0)))
    assert then.unaccounted(first) is None
    assert (then.frames, then.optimized, list(check_all([first, then], SMALL))) == (None, {}, [])
