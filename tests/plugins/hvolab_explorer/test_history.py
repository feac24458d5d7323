# SPDX-License-Identifier: GPL-2.0-only
"""Historic bugs of HVO, as fixes taken out: found without, complete and quiet with the fix; and two of today.

The table in docs/explorer.md has the results; `python -m tests.plugins.hvolab_explorer.historic` writes it.
"""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet

from hvolab_explorer.exploration import Limits, Result, explore
from hvolab_explorer.search.dpor import Dpor
from tests.plugins.hvolab_explorer.historic.bugs import BUGS, HistoricBug
from tests.plugins.hvolab_explorer.historic.run import finding, with_fix, without_fix
from tests.plugins.hvolab_explorer.historic.table import classes, row, rows
from tests.plugins.hvolab_explorer.worlds import explored, program

#: Bugs that are found, and those of them for which nothing was written, at least.
_FOUND, _GENERAL = 28, 20
_SLOW = {"B01", "B06", "B07", "B16", "B21", "B24", "B26", "B36", "B40"}
_ROWS = rows()


def _bugs(*, quiet: bool) -> list[ParameterSet]:
    """Each bug as the parameter of a test, marked where it takes long, or longest of all with the fix."""
    made = []
    for bug in BUGS:
        marks = [pytest.mark.slow] * (bug.number in _SLOW)
        marks += [pytest.mark.long] * (bug.number == "B38" or (quiet and bug.long))
        made.append(pytest.param(bug, id=bug.number, marks=marks))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("bug", _bugs(quiet=False))
def test_a_bug_is_found_without_its_fix(bug: HistoricBug) -> None:
    result = without_fix(bug)
    found = finding(bug, result)
    assert found is not None, (result.verdict, list(result.findings))
    assert row(bug, found, _ROWS[bug.number][-1]) == _ROWS[bug.number]


@pytest.mark.slow
@pytest.mark.parametrize("bug", _bugs(quiet=True))
def test_every_class_is_quiet_with_the_fix(bug: HistoricBug) -> None:
    assert classes(with_fix(bug)) == _ROWS[bug.number][-1]
    assert _ROWS[bug.number][-1].isdecimal()


def test_most_bugs_are_found_and_most_by_what_was_not_written_for_them() -> None:
    assert len(BUGS) >= _FOUND
    assert sum(not bug.own for bug in BUGS) >= _GENERAL
    assert list(_ROWS) == [bug.number for bug in BUGS]


def explored_so_far(actors: str) -> Result:
    """What the default search finds up to the first finding."""
    return explore(program(actors), Dpor())


@pytest.mark.slow
def test_s1_a_batch_whose_first_folio_is_not_optimized_waits_for_no_grace_period() -> None:
    """The flag for it is cleared after the first folio of the list, also if that was skipped."""
    assert explored("recycle-list A B.64, taker B.64").complete
    result = explored_so_far("recycle-list A B.64, sysctl-on, taker B.64")
    assert any("faults: permission" in text for text in result.findings), result.verdict


@pytest.mark.slow
def test_a_pool_that_shrinks_while_a_surplus_folio_is_half_counted_is_found() -> None:
    """2273dea6b1e1 ("mm/hugetlb: update nr_huge_pages and surplus_huge_pages together", v6.15)."""
    result = explored_so_far("shrink A, surplus")
    assert any("invariant 7 (pool)" in text for text in result.findings), result.verdict


@pytest.mark.long
def test_a_pool_that_shrinks_while_a_surplus_folio_is_counted_at_once_is_quiet() -> None:
    fixed = explore(program("shrink A, surplus", release="7.2"), Dpor(), Limits(first_finding=False))
    assert (fixed.complete, list(fixed.findings)) == (True, [])


@pytest.mark.slow
def test_s3_a_memory_error_is_lost_while_the_folio_is_optimized() -> None:
    """The second try of get_huge_page_for_hwpoison() marks the head of a folio that is neither free nor in use.

    Between the copy of the head's page and the change of its entry, the mark is lost.
    """
    result = explored_so_far("add A, memory-failure A.70")
    assert any("has no PG_hwpoison" in text for text in result.findings), result.verdict
