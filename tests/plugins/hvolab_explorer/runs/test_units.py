# SPDX-License-Identifier: GPL-2.0-only
"""Units of work, in this process, in others, and on a Dask cluster: the same classes and findings."""

from __future__ import annotations

import pickle
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from hvolab.executors import executor_of
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.runs.run import Explored
from hvolab_explorer.runs.units import Unit, explore_units
from hvolab_explorer.search.spec import SearchSpec
from hvolab_explorer.world.machine import WorldOptions
from tests.machines import x86_64

ACTORS = ("optimize A, optimize B", "allocate A, taker A.64", "allocate A, taker-6.11 A.64", "optimize A, scanner A.64")


def unit(actors: str, *, failures: int = 0, **target: Any) -> Unit:
    """A unit on x86_64."""
    configuration = Configuration(actors, "", parse_actors(actors), split=True, options=WorldOptions(failures))
    return Unit(configuration, x86_64(**target), SearchSpec(), 60)


def facts(explored: Explored) -> tuple[object, ...]:
    """What two explorations of one unit have in common."""
    result = explored.result
    return result.schedules, result.classes, result.incomplete, explored.findings, explored.schedules


def explored(units: list[Unit], jobs: int | None, address: str | None = None) -> list[tuple[object, ...]]:
    """The facts of each unit."""
    found: dict[int, Explored] = {}
    with executor_of(len(units), jobs, address, 1) as executor:
        explore_units(units, executor, found.__setitem__)
    return [facts(found[number]) for number in range(len(units))]


def test_a_unit_and_its_result_can_be_sent_to_another_process() -> None:
    one = unit("allocate A, taker-6.11 A.64")
    sent = pickle.loads(pickle.dumps(one))
    assert (sent.key, sent.configuration) == (one.key, one.configuration)
    result = one.explore()
    assert result.findings
    assert facts(pickle.loads(pickle.dumps(result))) == facts(result)


def test_the_key_of_a_unit_depends_on_all_that_decides_its_result() -> None:
    one = unit("optimize A")
    others = [
        unit("restore A"),
        unit("optimize A", failures=1),
        unit("optimize A", release="6.1"),
        unit("optimize A", profile="strict"),
        replace(one, search=SearchSpec("bounded")),
    ]
    assert len({one.key, *(other.key for other in others)}) == 1 + len(others)
    assert unit("optimize A").key == one.key


def test_an_interrupt_ends_the_units_and_those_before_are_done() -> None:
    done: list[int] = []

    def interrupt(number: int, _: Explored) -> None:
        done.append(number)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore_units([unit("optimize A")] * 4, None, interrupt)
    assert done == [0, 1]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Dask and its event loop
def test_processes_and_a_cluster_of_two_workers_find_what_one_process_does(tmp_path: Path) -> None:
    units = [unit(actors, failures=number % 2) for number, actors in enumerate(ACTORS)]
    alone = explored(units, 1)
    assert any(findings for *_, findings, _ in alone)
    assert explored(units, 2) == alone
    pytest.importorskip("distributed", reason="no Dask: pip install 'hvolab[cluster]'")
    with import_module("distributed").LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    ) as local:
        assert explored(units, None, local.scheduler_address.replace("tcp://", "dask://")) == alone
