# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab explore`: its options, exit codes and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugins.hvolab_explorer.commands.invoking import invoke
from tests.schemas import fitting

BROKEN = "allocate A, taker-6.11 A.64"


def test_actors_without_a_finding_end_in_exit_code_0_and_a_verdict() -> None:
    result = invoke("--actors", "optimize A, taker A.64", "--split")
    assert result.exit_code == 0, result.output
    assert "classes: complete" in result.output
    assert "assuming that" in result.output


def test_a_finding_ends_in_exit_code_1_and_its_schedule_repeats_it() -> None:
    result = invoke("--actors", BROKEN, "--json")
    assert result.exit_code == 1, result.output
    (explored,) = fitting("explore", result.stdout)["configurations"]
    (finding,) = explored["findings"]
    assert not explored["complete"]
    assert "permission" in finding["text"]
    again = invoke("--actors", BROKEN, "--replay", finding["schedule"], "--json")
    assert again.exit_code == 1, again.output
    repeated = fitting("explore", again.stdout)
    assert repeated["findings"] == [finding["text"]]
    assert repeated["steps"] == finding["steps"]
    assert repeated["prevention"] == finding["prevention"]
    assert finding["steps"][finding["prevention"]["step"]] == {
        "actor": 0,
        "text": "store 4 bytes at A+52",
        "choice": None,
    }


def test_a_schedule_is_refused_if_an_option_differs() -> None:
    schedule = json.loads(invoke("--actors", BROKEN, "--json").stdout)["configurations"][0]["findings"][0]["schedule"]
    result = invoke("--actors", BROKEN, "--poison", "--replay", schedule)
    assert result.exit_code == 2
    assert "another configuration" in result.output


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--actors", "optimise A"), "did you mean 'optimize' or 'optimize-list'?"),
        (("--search", "widest"), "unknown search"),
        (("--tlb", "eager"), "unknown kind of TLB"),
        (("--allocations", "none"), "unknown kind of allocations"),
        (("--actors", "taker-6.11 A.64", "--release", "7.2"), "no fake heads"),
        (("--actors", "optimize A", "--replay", ""), "'' is not a schedule"),
        (("--replay", "01234567: 0*1"), "of none of the ready configurations"),
        (("--campaign", "campaign", "--replay", "01234567: 0*1"), "--replay with --campaign"),
        (("--actors", "optimize A", "--html", "."), "it is a folder"),
    ],
)
def test_wrong_options_are_refused(words: tuple[str, ...], answer: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert answer in " ".join(result.output.split())


@pytest.mark.slow
def test_a_search_that_is_stopped_is_not_called_complete() -> None:
    result = invoke("--actors", "optimize A, optimize B", "--search", "random", "--seconds", "0.1", "--json")
    (explored,) = fitting("explore", result.stdout)["configurations"]
    assert (result.exit_code, explored["complete"]) == (0, False)
    assert "stopped after 0.1 s" in explored["verdict"]


@pytest.mark.slow
def test_a_finding_is_written_as_a_timeline_and_a_campaign_has_none(tmp_path: Path) -> None:
    steps = tmp_path / "steps.json"
    result = invoke("--actors", BROKEN, "--trace", str(steps))
    assert result.exit_code == 1, result.output
    (finding,) = json.loads(steps.read_text("utf-8"))["voices"][0]["findings"]
    assert "permission" in finding["what"]
    result = invoke("--campaign", str(tmp_path), "--trace", str(steps))
    assert result.exit_code == 2
    assert "a campaign has no timeline" in result.output
