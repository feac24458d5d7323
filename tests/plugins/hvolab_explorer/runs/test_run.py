# SPDX-License-Identifier: GPL-2.0-only
"""Configurations selected by options."""

from __future__ import annotations

from dataclasses import replace

from hvolab_explorer.runs.configuration import READY
from hvolab_explorer.runs.run import run, select, world_options
from hvolab_explorer.schedule import read_schedule
from hvolab_explorer.search.spec import SearchSpec
from tests.machines import x86_64


def test_options_change_every_configuration_and_none_leaves_each_its_own() -> None:
    assert world_options(None, "per-cpu", poison=False) is None
    assert select(None, None, split=False) == list(READY)
    options = world_options(2, "ordered", poison=True)
    assert options is not None
    assert (options.failures, options.ordered, options.poisoned) == (2, True, True)
    assert all(one.options == options and one.split for one in select(None, options, split=True))


def test_a_ready_configuration_that_a_release_does_not_allow_is_not_called_complete() -> None:
    (configuration,) = select("allocate A, taker-6.11 A.64", None, split=False)
    explored = run(replace(configuration, name="ready"), x86_64(release="7.2"), SearchSpec(), 60)
    assert explored.result.verdict == "not complete: release 7.2 has no fake heads, 0 classes explored"


def test_a_finding_is_repeated_shrunk_and_written_as_a_schedule() -> None:
    (configuration,) = select("allocate A, taker-6.11 A.64", None, split=False)
    explored = run(configuration, x86_64(), SearchSpec(), 60)
    (schedule,) = explored.schedules
    assert len(read_schedule(schedule, configuration.text(x86_64()))) <= 5
    assert explored.findings[0].text in explored.result.findings
