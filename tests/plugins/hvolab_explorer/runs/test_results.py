# SPDX-License-Identifier: GPL-2.0-only
"""Results in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_explorer.runs.results import ResultsFile
from tests.plugins.hvolab_explorer.runs.test_units import facts, unit

RACE = unit("allocate A, taker-6.11 A.64")


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "results"
    explored = RACE.explore()
    ResultsFile(path).add(RACE, explored)
    read = ResultsFile(path).find(RACE)
    assert read is not None
    assert facts(read) == facts(explored)
    assert ResultsFile(path).find(unit("optimize A")) is None


def test_a_unit_that_was_stopped_is_explored_again_if_it_has_more_time(tmp_path: Path) -> None:
    path, short = tmp_path / "results", replace(unit("optimize A, optimize B"), seconds=0)
    stopped = short.explore()
    assert "stopped after 0 s" in stopped.result.incomplete
    ResultsFile(path).add(short, stopped)
    assert ResultsFile(path).find(short) is not None
    longer = replace(short, seconds=60)
    assert ResultsFile(path).find(longer) is None
    ResultsFile(path).add(longer, longer.explore())
    known = ResultsFile(path).find(replace(short, seconds=90))
    assert known is not None
    assert known.result.complete


def test_a_line_that_was_cut_is_removed_and_its_unit_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "results"
    other = unit("optimize A")
    file = ResultsFile(path)
    file.add(other, other.explore())
    whole = path.read_text()
    path.write_text(whole + whole[:50])
    del file  # its lock ends
    again = ResultsFile(path)
    assert again.find(other) is not None
    assert path.read_text() == whole


@pytest.mark.parametrize("text", ["no JSON\n", "{}\n", "[]\n"])
def test_another_file_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"not the result of a configuration.*results:1"):
        ResultsFile(path)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        ResultsFile(tmp_path)


def test_a_second_writer_is_refused_until_the_first_one_ends(tmp_path: Path) -> None:
    first = ResultsFile(tmp_path / "results")
    with pytest.raises(UsageError, match="another campaign writes to this folder"):
        ResultsFile(tmp_path / "results")
    del first
    assert ResultsFile(tmp_path / "results").find(RACE) is None
