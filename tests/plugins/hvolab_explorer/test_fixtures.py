# SPDX-License-Identifier: GPL-2.0-only
"""The fixture `explore` in tests of strangers."""

from __future__ import annotations

import sys

import pytest

from hvolab.plugin import registry
from hvolab_explorer import fixtures

pytest_plugins = ("pytester",)
NAME = fixtures.__name__
registry()  # pytester forgets modules that its runs load: numpy and the plugins are loaded before

TWO = """
import pytest

@pytest.mark.arch("x86_64")
def test_two_optimizers(explore):
    explored = explore("optimize A, optimize B", split=True)
    assert explored.result.complete

@pytest.mark.arch("x86_64")
def test_state(explore):
    explored = explore("optimize A", split=True, fail=1, allocations="ordered", tlb="speculative", memory="weak")
    options = explored.configuration.options
    assert (options.failures, options.ordered, options.weak) == (1, True, True)
"""

RACE = """
import pytest

ACTORS = "allocate A, taker-6.11 A.64"
pytestmark = pytest.mark.arch("x86_64")

def test_race(explore):
    explore(ACTORS)

def test_first_schedule(explore):
    explore.replay(ACTORS, "{schedule}")

def test_with_the_fix_in(explore):
    explore("allocate A, taker A.64", tlb="speculative")
"""

#: An engine without a grace period, as before bd225530a4c7; and a search that leaves schedules out.
ENGINE = """
import pytest
from hvolab.hvo import Hvo

pytestmark = pytest.mark.arch("x86_64")

class WithoutGracePeriod(Hvo):
    def __init__(self, machine, cpu):
        super().__init__(machine, cpu)
        self._rcu = 0

def test_engine(explore):
    explore("recycle A.64, taker A.64", engine=WithoutGracePeriod)

def test_bounded(explore):
    explore("optimize A, scanner A.64", search="bounded", complete=False)
    explore("optimize A, scanner A.64", search="bounded")
"""


def failures(pytester: pytest.Pytester, source: str) -> tuple[int, list[str]]:
    """Number of tests that passed, and the texts of those that failed."""
    pytester.makepyfile(source)
    passed, _, failed = pytester.inline_run("-p", NAME).listoutcomes()
    return len(passed), [each.longreprtext for each in failed]


@pytest.mark.slow
def test_a_complete_exploration_without_a_finding_passes(pytester: pytest.Pytester) -> None:
    assert failures(pytester, TWO) == (2, [])


@pytest.mark.slow
def test_a_finding_fails_with_its_schedule_and_story_and_the_schedule_repeats_it(pytester: pytest.Pytester) -> None:
    passed, failed = failures(pytester, RACE.format(schedule="01234567: 0*1"))
    race, wrong = failed
    assert passed == 1
    assert "finding: taker-6.11 A.64 faults: permission fault" in race
    assert "CPU0: allocate A" in race
    assert "cmpxchg A.64+48" in race
    assert wrong.startswith("the schedule is of another configuration: 01234567; where: this one is")
    (schedule,) = (line.partition(": ")[2] for line in race.splitlines() if line.startswith("schedule: "))
    _, again = failures(pytester, RACE.format(schedule=schedule))
    assert again[1].splitlines()[1:3] == race.splitlines()[1:3]


@pytest.mark.slow
def test_an_engine_of_the_test_is_explored_and_an_incomplete_search_fails(pytester: pytest.Pytester) -> None:
    passed, (engine, bounded) = failures(pytester, ENGINE)
    assert passed == 0
    assert "invariant 16 (grace_periods)" in engine
    assert "not complete: the bound on preemptions" in bounded


@pytest.mark.slow
def test_it_works_in_several_processes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    pytester.makeconftest(f"pytest_plugins = ({NAME!r},)")
    pytester.makepyfile(test_two=TWO, test_race=RACE.format(schedule="01234567: 0*1"))
    options = ("-n", "2", "--strict-markers", "-W", "error")
    result = pytester.run(sys.executable, "-m", "pytest", *options)
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["finding: taker-6.11 A.64 faults*", "schedule: *: 0*"])
