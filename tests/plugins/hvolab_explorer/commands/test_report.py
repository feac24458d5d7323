# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab explore` for people."""

from __future__ import annotations

from hvolab_explorer.runs.configuration import KINDS, READY
from tests.plugins.hvolab_explorer.commands.invoking import invoke
from tests.schemas import fitting


def test_the_list_has_every_ready_configuration_and_every_actor() -> None:
    data = fitting("explore", invoke("--list", "--json").stdout)
    assert [one["name"] for one in data["configurations"]] == [one.name for one in READY]
    assert [one["name"] for one in data["actors"]] == list(KINDS)
    output = invoke("--list").output
    assert all(f"\n{name} " in output for name in [*KINDS, *(one.name for one in READY)])
    assert '--actors "shrink A B" --split --fail 1' in output
    assert "page_ref_add_unless()" in output
    assert "…" not in output


def test_a_story_has_a_lane_for_each_actor_and_leaves_out_the_middle_of_long_runs() -> None:
    output = invoke("--actors", "allocate A, taker-6.11 A.64").output
    assert "CPU0: allocate A" in output
    assert "CPU1: taker-6.11 A.64" in output
    assert "more steps" in output
    assert "schedule: " in output
    assert "» store 4 bytes at A+52" in output
    words = " ".join(output.split())
    assert "» last step that another order can replace: with taker-6.11 A.64, then allocate A in its place" in words


def test_assumptions_are_printed_of_what_is_not_complete_too_and_of_no_finding() -> None:
    output = invoke("--actors", "optimize A", "--search", "random", "--seconds", "0").output
    assert "not complete: no finding in the schedules that ran, assuming that\n- accesses" in output
    assert "assuming that" not in invoke("--actors", "allocate A, taker-6.11 A.64").output


def test_every_assumption_is_printed_once() -> None:
    output = invoke("--actors", "optimize A, scanner A.64", "--split").output
    assert output.count("sequentially consistent") == 1
    assert output.count("--tlb speculative") == 1
