# SPDX-License-Identifier: GPL-2.0-only
"""Configurations: read from text, and the ready ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import PluginRegistry, hookimpl, registry
from hvolab_explorer.actors.kind import Place
from hvolab_explorer.exploration import explore
from hvolab_explorer.runs.configuration import (
    KINDS,
    READY,
    Configuration,
    all_kinds,
    parse_actors,
    shared_assumptions,
)
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import World
from tests.machines import x86_64


def test_actors_are_read_with_their_places() -> None:
    assert [str(actor) for actor in parse_actors("optimize A,  taker A.64 B.7")] == ["optimize A", "taker A.64 B.7"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an actor is missing"),
        ("optimize A,", "an actor is missing"),
        ("optimise A", "unknown actor"),
        ("optimize", "optimize with 0 folios"),
        ("optimize a", "not a folio"),
        ("optimize A.64", "not a folio"),
        ("taker a", "not a struct page"),
        ("allocate A B", "2 folios"),
        ("sysctl-off A", "1 struct page"),
    ],
)
def test_what_is_no_actor_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        parse_actors(text)
    assert refused.value.hint


def test_the_hint_is_text_that_is_accepted() -> None:
    for kind in KINDS.values():
        with pytest.raises(UsageError) as refused:
            parse_actors(f"{kind.name} {'a' if kind.arguments else 'A'}")
        for choice in refused.value.hint.removeprefix("write ").replace(" alone", "").split(" or "):
            place = choice.rpartition(", as ")[2] if kind.arguments else ""
            assert parse_actors(f"{kind.name} {place}".strip())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("optimize A, optimize A", "the same folio, A"),
        ("recycle A.64, restore-list B A", "the same folio, A"),
        ("add A, dissolve A", "the same folio, A"),
        ("optimize A, memory-failure B.70", "memory-failure has all of them in the pool"),
        ("grow, restore A", "grow has all of them in the pool"),
        ("walk-ahead A.64, optimize A", "is the first"),
    ],
)
def test_actors_that_the_kernel_does_not_run_at_a_time_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        Configuration("", "", parse_actors(text)).spec()
    assert refused.value.hint


@pytest.mark.parametrize(
    "text", ["optimize A, taker A.64", "dissolve A, replace A", "add A, memory-failure A.70", "add A, shrink B"]
)
def test_readers_and_actors_of_the_pool_share_folios(text: str) -> None:
    assert Configuration("", "", parse_actors(text)).spec().folios


def test_assumptions_of_some_configurations_have_their_names() -> None:
    found = list(shared_assumptions(READY))
    assert any(text.startswith("no allocation fails") and ", but for two-optimizers-fail" in text for text in found)
    assert any(text.startswith("1 or fewer allocations fail") and ": two-optimizers-fail" in text for text in found)
    alone = next(one for one in READY if one.name == "two-optimizers")
    assert list(shared_assumptions([alone])) == alone.assumptions()


def test_a_place_that_the_world_does_not_have_is_refused() -> None:
    made = Configuration("", "", parse_actors("scanner A.512")).program(x86_64())
    with pytest.raises(UsageError, match=r"no struct page A\.512"):
        made.actors()


@pytest.mark.slow
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
    lifted = configuration.with_tlb("speculative").with_options(WorldOptions(ordered=True, poisoned=True))
    assert not any(name in text for text in lifted.assumptions() for name in ("--tlb", "--allocations", "--poison"))
    assert any("walk-ahead" in text for text in lifted.assumptions())
    assert str(lifted.actors[2]) == "walk-ahead A.64"


@pytest.mark.parametrize(("actors", "assumed"), [("dissolve A", True), ("optimize A", False)])
def test_counters_of_a_pool_are_assumed_where_one_acts(actors: str, assumed: bool) -> None:  # noqa: FBT001
    assumptions = Configuration("", "", parse_actors(actors)).assumptions()
    assert any("counters" in text for text in assumptions) is assumed


def test_each_kind_of_actor_has_a_summary() -> None:
    assert all(kind.summary and kind.name == name for name, kind in KINDS.items())


class _Readers:
    """A plugin with two actors, one of whose names the explorer has already."""

    @hookimpl
    def hvolab_actors(self) -> dict[str, object]:
        return {"reader": _reader, "optimize": _reader}


def _reader(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    """Loads of struct pages."""
    return lambda: [world.cpus[cpu].load_word(place.va(world)) for place in places]


def test_actors_of_plugins_are_known_and_take_no_name_of_the_explorers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = PluginRegistry(strict=True)
    plugins.register(_Readers(), "readers")
    monkeypatch.setattr("hvolab_explorer.runs.configuration.registry", lambda: plugins)
    known = all_kinds()
    assert (known["reader"].summary, known["optimize"]) == ("Loads of struct pages.", KINDS["optimize"])
    result = explore(Configuration("", "", parse_actors("optimize A, reader A.64")).program(x86_64()), Dpor())
    assert (result.complete, list(result.findings)) == (True, [])
    with pytest.raises(UsageError, match="unknown actor"):
        parse_actors("readers A")


def test_weak_memory_changes_what_is_assumed_and_another_kind_is_refused() -> None:
    strong = Configuration("", "", parse_actors("allocate A, taker A.64"))
    assert strong.with_memory("strong") is strong
    assert any("--memory weak" in text for text in strong.assumptions())
    weak = strong.with_memory("weak")
    assert weak.options.weak
    assert not any("sequentially" in text for text in weak.assumptions())
    with pytest.raises(UsageError, match="unknown kind of memory"):
        strong.with_memory("relaxed")
