# SPDX-License-Identifier: GPL-2.0-only
"""Campaigns: targets, going on after an interrupt, and merged results."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_explorer.runs.campaign import Campaign, finding_key, merge, targets_of
from hvolab_explorer.runs.run import Explored
from tests.plugins.hvolab_explorer.runs.test_units import facts, unit

RACE = "allocate A, taker-6.11 A.64"


def test_targets_are_every_architecture_and_release_unless_they_are_named() -> None:
    every = targets_of(None, None, None, None)
    offered = [(name, str(release)) for name, one in registry().architectures().items() for release in one.offered]
    assert [(target.architecture.name, str(target.release)) for target in every] == offered
    (one,) = targets_of("riscv", "Sv39", "strict", "6.12")
    assert (one.mode.name, one.profile, str(one.release)) == ("Sv39", "strict", "6.12")
    with pytest.raises(UsageError, match="no architecture"):
        targets_of("vax", None, None, None)


@pytest.mark.slow
def test_an_interrupted_campaign_goes_on_where_it_was(tmp_path: Path) -> None:
    units = [unit(actors) for actors in ("optimize A", "restore A", RACE)]

    def interrupt(number: int, _: Explored) -> None:
        if number == 1:
            raise KeyboardInterrupt

    first = Campaign(units, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        first.run(None, interrupt)
    interrupted = [facts(one) for one in first.results()]
    assert len(interrupted) == 2
    del first  # as its process ends
    second, explored = Campaign(units, tmp_path), list[int]()
    assert [facts(one) for one in second.results()] == interrupted
    second.run(None, lambda number, _: explored.append(number))
    assert explored == [2]
    alone = Campaign(units)
    alone.run(None)
    assert [facts(one) for one in second.results()] == [facts(one) for one in alone.results()]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(UsageError, match="no campaign can be kept"):
        Campaign([], path)


def test_one_finding_on_two_targets_is_merged_and_classes_are_counted_once() -> None:
    campaign = Campaign([unit(RACE), unit(RACE, release="6.1"), unit(RACE, release="7.2"), unit("optimize A")])
    campaign.run(None)
    explored = campaign.results()
    race, optimize = merge(explored)
    assert (race.targets, race.complete, optimize.complete) == (3, 0, 1)
    assert race.classes == explored[0].result.classes | explored[1].result.classes
    (found,) = race.findings.values()
    assert found.targets == ["x86_64 6.12", "x86_64 6.1"]
    assert found.schedule == explored[0].schedules[0]
    assert race.incomplete["release 7.2 has no fake heads"] == ["x86_64 7.2"]


def test_addresses_and_registers_do_not_tell_findings_apart() -> None:
    one = "taker A.64 faults: permission fault: atomic at VA 0xffffea01, level pte, entry 0x80 (vector=0xe cr2=0xff)"
    other = "taker A.64 faults: permission fault: atomic at VA 0xff1c00, level PTE, entry 0x61 (scause=0xf stval=0x1)"
    assert finding_key(one) == finding_key(other)
    assert finding_key(one) != finding_key(one.replace("atomic", "load"))
