# SPDX-License-Identifier: GPL-2.0-only
"""Configurations: read from text, and the ready ones."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_explorer.configuration import KINDS, READY, Configuration, parse_actors
from hvolab_explorer.exploration import explore
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.machine import WorldOptions
from tests.machines import x86_64


def test_actors_are_read_with_their_places() -> None:
    assert [str(actor) for actor in parse_actors("optimize A,  taker A.64 B.7")] == ["optimize A", "taker A.64 B.7"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "unknown actor"),
        ("optimise A", "unknown actor"),
        ("optimize", "0 struct pages"),
        ("optimize a", "not a struct page"),
        ("allocate A B", "2 struct pages"),
        ("sysctl-off A", "1 struct pages"),
    ],
)
def test_what_is_no_actor_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        parse_actors(text)
    assert refused.value.hint


def test_a_place_that_the_world_does_not_have_is_refused() -> None:
    made = Configuration("", "", parse_actors("scanner A.512")).program(x86_64())
    with pytest.raises(UsageError, match=r"no struct page A\.512"):
        made.actors()


@pytest.mark.parametrize("configuration", READY, ids=lambda one: one.name)
def test_each_ready_configuration_is_complete_and_has_no_finding(configuration: Configuration) -> None:
    result = explore(configuration.program(x86_64()), Dpor())
    assert (result.complete, list(result.findings)) == (True, [])


def test_two_cpus_that_allocate_the_shared_tail_page_keep_one_of_them() -> None:
    (configuration,) = (one for one in READY if one.name == "two-optimizers-split")
    result = explore(configuration.program(x86_64(release="7.2")), Dpor())
    assert (result.complete, list(result.findings)) == (True, [])
    assert len(result.classes) > 2


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["arm64", "riscv"])
@pytest.mark.parametrize("name", ["two-optimizers-split", "taker", "scanner-restore"])
def test_other_architectures_are_explored_too(architecture: str, name: str) -> None:
    (configuration,) = (one for one in READY if one.name == name)
    target = registry().architecture(architecture).select(None, profile="strict")
    result = explore(configuration.program(target), Dpor())
    assert (result.complete, list(result.findings)) == (True, [])


def test_assumptions_name_the_options_that_lift_them() -> None:
    configuration = Configuration("", "", parse_actors("optimize A, scanner A.64"))
    assert any("--tlb" in text for text in configuration.assumptions())
    lifted = configuration.speculative().with_options(WorldOptions(ordered=True))
    assert not any("--tlb" in text or "--allocations" in text for text in lifted.assumptions())
    assert str(lifted.actors[2]) == "walk-ahead A.64"


def test_each_kind_of_actor_has_a_summary() -> None:
    assert all(kind.summary and kind.name == name for name, kind in KINDS.items())
