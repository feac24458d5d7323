# SPDX-License-Identifier: GPL-2.0-only
"""CPUs with weak memory: litmus tests, and the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from hvolab.plugin import registry
from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.runs.configuration import KINDS, Configuration, parse_actors
from hvolab_explorer.search.bounded import Bounded
from hvolab_explorer.search.decisions import Search
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.weak import WeakCpu
from hvolab_explorer.world.world import Body, World, WorldProgram, WorldSpec

#: Two words in different frames.
_X, _Y = 70, 140


@dataclass
class Litmus:
    """Programs of two CPUs over two words, and the pairs of values that the loads of the last ones may have."""

    world: World
    seen: set[tuple[int, int]] = field(default_factory=set)
    loaded: dict[str, int] = field(default_factory=dict)

    def word(self, page: int) -> int:
        layout = self.world.machine.struct_pages.layout
        return self.world.folios[0] + page * layout.size + layout.private

    def outcomes(self, bodies: list[Body], search: Search) -> tuple[set[tuple[int, int]], set[int]]:
        """The outcomes and the classes of an exhaustive search."""
        self.seen.clear()
        program = _Program(self, [(str(number), body) for number, body in enumerate(bodies)])
        result = explore(program, search, Limits(first_finding=False))
        assert (result.complete, list(result.findings)) == (True, [])
        return set(self.seen), result.classes


class _Program(WorldProgram):
    def __init__(self, litmus: Litmus, bodies: list[tuple[str, Body]]) -> None:
        super().__init__(litmus.world, bodies)
        self._litmus = litmus

    def check(self) -> list[str]:
        self._litmus.seen.add((self._litmus.loaded["first"], self._litmus.loaded["second"]))
        return []


def litmus(architecture: str) -> Litmus:
    target = registry().architecture(architecture).select()
    return Litmus(World(target, WorldSpec(folios=1, cpus=3, split=True, options=WorldOptions(weak=True))))


def body(run: Callable[[WeakCpu], None]) -> Body:
    """The body of an actor that is a function of its CPU."""

    def make(world: World, number: int) -> Callable[[], None]:
        cpu = world.cpus[number]
        assert isinstance(cpu, WeakCpu)
        return lambda: run(cpu)

    return make


def message_passing(test: Litmus, *, barrier: bool, acquire: bool = False) -> list[Body]:
    """One CPU stores X, then Y; the other loads Y, then X."""

    def send(cpu: WeakCpu) -> None:
        cpu.store_word(test.word(_X), 1)
        if barrier:
            cpu.barrier("smp_wmb")
        cpu.store_word(test.word(_Y), 1)

    def receive(cpu: WeakCpu) -> None:
        test.loaded["first"] = cpu.load_word(test.word(_Y))
        if acquire:
            cpu.acquire()
        test.loaded["second"] = cpu.load_word(test.word(_X))

    return [body(send), body(receive)]


def early(test: Litmus) -> Body:
    """The load of X by CPU1, before its turn."""
    reader = test.world.cpus[1]
    assert isinstance(reader, WeakCpu)
    return lambda _, __: lambda: reader.load_early(test.word(_X))


_ORDERED = {(0, 0), (0, 1), (1, 1)}
_ANY = _ORDERED | {(1, 0)}


@pytest.mark.parametrize(
    ("architecture", "barrier", "expected"),
    [("riscv", False, _ANY), ("riscv", True, _ORDERED), ("x86_64", False, _ORDERED)],
)
def test_stores_pass_each_other_unless_a_barrier_or_the_architecture_orders_them(
    architecture: str,
    barrier: bool,  # noqa: FBT001
    expected: set[tuple[int, int]],
) -> None:
    test = litmus(architecture)
    assert test.outcomes(message_passing(test, barrier=barrier), Dpor())[0] == expected


@pytest.mark.parametrize(("acquire", "expected"), [(False, _ANY), (True, _ORDERED)])
def test_an_early_load_is_seen_unless_an_acquire_drops_it(acquire: bool, expected: set[tuple[int, int]]) -> None:  # noqa: FBT001
    test = litmus("riscv")
    bodies = [*message_passing(test, barrier=True, acquire=acquire), early(test)]
    assert test.outcomes(bodies, Dpor())[0] == expected


@pytest.mark.parametrize("architecture", ["x86_64", "riscv"])
def test_a_load_passes_the_stores_before_it_and_sees_those_of_its_own_cpu(architecture: str) -> None:
    test = litmus(architecture)

    def swap(mine: int, other: int, name: str) -> Body:
        def run(cpu: WeakCpu) -> None:
            cpu.store_word(test.word(mine), 1)
            assert cpu.load_word(test.word(mine)) == 1
            test.loaded[name] = cpu.load_word(test.word(other))

        return body(run)

    found, _ = test.outcomes([swap(_X, _Y, "first"), swap(_Y, _X, "second")], Dpor())
    assert found == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.slow
def test_the_searches_agree() -> None:
    test = litmus("riscv")
    bodies = [*message_passing(test, barrier=True), early(test)]
    found = test.outcomes(bodies, Dpor())
    assert test.outcomes(bodies, Bounded(None)) == found
    assert test.outcomes(bodies, Dpor(sleep=False)) == found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["add", "compaction", "dissolve", "optimize-list", "replace", "restore", "surplus"])
def test_an_actor_alone_has_no_finding_however_late_its_stores_are(name: str) -> None:
    kind = KINDS[name]
    text = f"{name} {'A.70' if kind.arguments.startswith('PAGE') else 'A' * bool(kind.arguments)}".strip()
    made = Configuration("", "", parse_actors(text)).with_memory("weak")
    result = explore(made.program(registry().architecture("x86_64").select()), Dpor(), Limits(schedules=20))
    assert not result.findings


def test_an_actor_with_more_stores_than_queues_ends_the_exploration_and_is_no_finding() -> None:
    made = Configuration("", "", parse_actors("grow")).with_memory("weak")
    result = explore(made.program(registry().architecture("riscv").select()), Dpor())
    assert (result.complete, list(result.findings)) == (False, [])
    assert "stores to more than 12 frames" in result.verdict


def test_the_stores_of_a_free_are_in_memory_at_its_end() -> None:
    spec = WorldSpec(folios=1, cpus=1, options=WorldOptions(weak=True), pooled=True)
    world, pending = World(registry().architecture("riscv").select(), spec), []

    def dissolve() -> None:
        world.pools[0].dissolve(world.folios[0])
        pending.append(world.buffers()[0].has_pending())

    result = explore(WorldProgram(world, [("dissolver", lambda *_: dissolve)]), Dpor(), Limits(schedules=1))
    assert pending == [False]
    assert not result.findings
