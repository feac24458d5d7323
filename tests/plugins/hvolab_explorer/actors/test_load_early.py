# SPDX-License-Identifier: GPL-2.0-only
"""The actor `load-early`, and weak memory around the engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_explorer.exploration import Limits, Result, explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.weak import WeakCpu
from hvolab_explorer.world.world import WorldProgram


def weak(actors: str, architecture: str = "riscv") -> WorldProgram:
    made = Configuration("", "", parse_actors(actors), split=True).with_memory("weak")
    return made.program(registry().architecture(architecture).select(profile="strict"))


def found(program: WorldProgram) -> Result:
    return explore(program, Dpor(), Limits(first_finding=False))


def without(program: WorldProgram, name: str, instead: Callable[..., None]) -> WorldProgram:
    """Replace a method of each CPU."""
    for cpu in program.world.buffers():
        setattr(cpu, name, instead)
    return program


def test_the_loads_of_a_reader_are_followed_by_early_ones_on_its_cpu() -> None:
    made = Configuration("", "", parse_actors("allocate A, taker A.64")).with_tlb("speculative").with_memory("weak")
    assert [str(actor) for actor in made.actors] == ["allocate A", "taker A.64", "load-early A.64", "walk-ahead A.64"]
    program = made.program(registry().architecture("riscv").select())
    early = program.actors()[2]
    early.body()
    reader = program.world.cpus[1]
    assert isinstance(reader, WeakCpu)
    assert list(reader._early) == [program.world.folios[0] + 64 * 64]


def test_it_needs_weak_memory() -> None:
    made = Configuration("", "", parse_actors("taker A.64, load-early A.64"))
    with pytest.raises(UsageError, match="in order"):
        made.program(registry().architecture("riscv").select()).actors()


@pytest.mark.slow
def test_b29_an_early_load_without_an_acquire_takes_a_reference_to_a_tail() -> None:
    actors = "allocate A, taker A.64"
    quiet = found(weak(actors))
    assert (quiet.complete, list(quiet.findings)) == (True, [])
    result = explore(without(weak(actors), "acquire", lambda: None), Dpor())
    assert any("faults: permission" in text for text in result.findings), result.verdict


@pytest.mark.slow
def test_b02_an_entry_without_a_barrier_leads_to_a_page_that_is_not_written() -> None:
    actors = "restore A, scanner A.70"
    program = without(weak(actors), "barrier", lambda _: None)
    result = explore(program, Dpor(), Limits(schedules=30, first_finding=False))
    assert any("not written yet at A.70" in text for text in result.findings), result.verdict


@pytest.mark.long
@pytest.mark.parametrize("architecture", ["arm64", "riscv", "x86_64"])
def test_the_engine_is_quiet_with_weak_memory(architecture: str) -> None:
    target = registry().architecture(architecture).select(profile="strict")
    stores = Configuration("", "", parse_actors("restore A, scanner A.70"), split=True, options=WorldOptions(weak=True))
    programs = [weak("optimize A, scanner A.64", architecture), weak("allocate A, taker A.64", architecture)]
    for program in (stores.program(target), *programs):
        result = found(program)
        assert (result.complete, list(result.findings)) == (True, [])
