# SPDX-License-Identifier: GPL-2.0-only
"""Configurations selected by options."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hvolab_explorer.runs.configuration import READY
from hvolab_explorer.runs.run import run, select, world_options
from hvolab_explorer.schedule import read_schedule
from hvolab_explorer.search.spec import SearchSpec
from tests.machines import x86_64


def test_an_option_changes_every_configuration_and_leaves_the_rest_its_own() -> None:
    assert select(None) == list(READY)
    poisoned = select(None, partial(world_options, poison=True))
    assert [one.options.failures for one in poisoned] == [one.options.failures for one in READY]
    assert all(one.options.poisoned for one in poisoned)
    chosen = partial(world_options, fail=2, allocations="ordered")
    assert all(one.split and one.options.ordered for one in select(None, chosen, split=True))
    assert {one.options.failures for one in select(None, chosen)} == {2}


def test_of_configurations_that_options_make_alike_one_is_explored() -> None:
    alike = {one.name for one in READY} - {one.name for one in select(None, partial(world_options, fail=1))}
    assert alike == {"two-optimizers-fail"}


def test_a_ready_configuration_that_a_release_does_not_allow_is_not_called_complete() -> None:
    (configuration,) = select("allocate A, taker-6.11 A.64")
    explored = run(replace(configuration, name="ready"), x86_64(release="7.2"), SearchSpec(), 60)
    assert explored.result.verdict == "not complete: release 7.2 has no fake heads, 0 classes explored"


def test_a_finding_is_repeated_shrunk_and_written_as_a_schedule() -> None:
    (configuration,) = select("allocate A, taker-6.11 A.64")
    explored = run(configuration, x86_64(), SearchSpec(), 60)
    (schedule,) = explored.schedules
    assert len(read_schedule(schedule, configuration.text(x86_64()))) <= 5
    assert explored.findings[0].text in explored.result.findings
