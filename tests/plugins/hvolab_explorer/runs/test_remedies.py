# SPDX-License-Identifier: GPL-2.0-only
"""What prevents a finding in the order of its schedule: for historic bugs, what their fixes have added."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hvolab.arch import Target
from hvolab.plugin import registry
from hvolab_explorer.exploration import Found, Limits, Prevention, Remedy, explore
from hvolab_explorer.runs import remedies as searched
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.runs.prevention import find_prevention
from hvolab_explorer.runs.remedies import ToFirstFinding, find_remedies, findings_of
from hvolab_explorer.runs.shrink import replay, shrink
from hvolab_explorer.schedule import segments_of
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import World, WorldProgram, WorldSpec
from tests.machines import x86_64
from tests.plugins.hvolab_explorer.historic import worlds


def made(actors: str, target: Target | None = None, *, split: bool = True) -> WorldProgram:
    return Configuration("", "", parse_actors(actors), split=split).program(target or x86_64())


def first(program: WorldProgram, text: str) -> Found:
    """The first finding with these words, shrunk."""
    result = explore(program, Dpor(), Limits(schedules=60, first_finding=False))
    return shrink(program, replay(program, next(one for key, one in result.findings.items() if text in key)))


def remedies(program: WorldProgram, found: Found) -> tuple[Remedy, ...]:
    known = find_prevention(program, found).remedies
    assert known is not None
    return known


def test_a_race_with_a_reader_is_prevented_by_a_grace_period_before_the_entry_is_set() -> None:
    program = made("recycle A.64, taker A.64", x86_64(release="6.1"), split=False)
    found = first(program, "permission fault")
    (known,) = remedies(program, found)
    assert (known.what, known.actor, known.after) == ("grace-period", 0, None)
    assert found.log[known.before].text.startswith("set entry")
    own = [place for place, step in enumerate(found.log) if step.actor == 0]
    later = own[own.index(known.before) + 1]
    (_, _, act) = next(one for one in searched._acts(program.world, program.actors()) if one[:2] == ("grace-period", 0))
    for place, is_found in ((known.before, False), (later, True)):
        search = ToFirstFinding(segments_of(found.log), alone=False, before=place, act=act)
        assert bool(findings_of(program, search)) is is_found


@pytest.mark.slow
def test_a_stale_translation_is_prevented_by_a_flush_before_it_is_used() -> None:
    program = made("optimize-list A, scanner A.200, walk-ahead A.200")
    worlds.no_flush_all(program.world)
    found = first(program, "stale translation")
    (known,) = remedies(program, found)
    assert (known.what, known.actor) == ("flush", None)
    assert found.log[known.before].text == "CPU1 walks A.200 ahead"


def test_stores_that_pass_each_other_are_prevented_by_a_barrier_between_them() -> None:
    target = registry().architecture("riscv").select()
    world = World(target, WorldSpec(folios=1, cpus=2, split=True, options=WorldOptions(weak=True)))
    layout = world.machine.struct_pages.layout
    one, two = (world.folios[0] + page * layout.size + layout.private for page in (70, 140))

    def send(world: World, number: int) -> Callable[[], None]:
        def body() -> None:
            world.cpus[number].store_word(one, 1)
            world.cpus[number].store_word(two, 1)

        return body

    def receive(world: World, number: int) -> Callable[[], None]:
        def body() -> None:
            if world.cpus[number].load_word(two) and not world.cpus[number].load_word(one):
                world.scheduler.report("passed")

        return body

    program = WorldProgram(world, [("send", send), ("receive", receive)])
    found = first(program, "passed")
    known = {one.what: one for one in remedies(program, found)}
    assert known["store-barrier"].actor == 0
    assert known["store-barrier"].after is not None
    barrier = known["store-barrier"].after, known["store-barrier"].before
    assert [found.log[place].text for place in barrier] == [
        f"store 8 bytes at A.{page}+{layout.private}, into the buffer" for page in (70, 140)
    ]


def test_a_reader_that_was_not_told_of_a_free_is_stopped_by_none_of_them() -> None:
    program = made("optimize A, kmemleak A.64")
    worlds.kmemleak_keeps_all(program.world)
    found = first(program, "free frame")
    assert remedies(program, found) == ()


def test_what_is_not_tried_everywhere_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    program = made("recycle A.64, taker A.64", x86_64(release="6.1"))
    found = first(program, "permission fault")
    monkeypatch.setattr(searched, "MOST_RUNS", 5)
    assert find_remedies(program, found, alone=False) is None


def test_an_actor_that_is_alone_has_none() -> None:
    program = made("restore A")
    worlds.no_barrier(program.world)
    found = first(program, "")
    assert find_prevention(program, found) == Prevention(None, (), 0)
