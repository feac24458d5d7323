# SPDX-License-Identifier: GPL-2.0-only
"""All searches find the same classes and findings: what makes "complete" a word to be trusted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvolab.errors import KernelBug
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.checkpoint import Checkpoint
from hvolab.machine.locks import Lock
from hvolab_explorer.exploration import Limits, Result, explore
from hvolab_explorer.search.bounded import Bounded
from hvolab_explorer.search.decisions import Search
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.search.spec import SearchSpec
from hvolab_explorer.steps.actor import Actor
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.cpu import ExploredCpu
from hvolab_explorer.world.machine import ExploredMachine, WorldOptions
from hvolab_explorer.world.shared import ExploredRecords
from tests.machines import MIB, x86_64
from tests.plugins.hvolab_explorer.search.test_dpor import Recording
from tests.plugins.hvolab_explorer.worlds import program

#: One operation of a random program: its name, and up to two small numbers.
Operation = tuple[str, int, int]
#: The programs of the actors.
Programs = tuple[tuple[Operation, ...], ...]

#: Order of the blocks that random programs allocate.
_BLOCK = 2
#: Bit of the address of a leaf of 2 MiB.
_OTHER_LEAF = 1 << 21
_EVERYTHING = Limits(seconds=600, first_finding=False)
_A_FEW_SCHEDULES = Limits(schedules=15, first_finding=False)


@dataclass
class Setting:
    """A small machine whose CPUs run random programs over three words, two locks and a page of vmemmap."""

    machine: ExploredMachine
    scheduler: Scheduler
    checkpoint: Checkpoint
    words: list[int]
    page: int
    #: PFN of a block that is free at the start.
    spare: int

    @property
    def cpus(self) -> list[ExploredCpu]:
        return [cpu for cpu in self.machine.cpus if isinstance(cpu, ExploredCpu)]


@cache
def setting(failures: int, *, ordered: bool) -> Setting:
    scheduler = Scheduler()
    options = WorldOptions(failures=failures, ordered=ordered)
    machine = ExploredMachine.of(build_machine(x86_64(), MachineSpec(memory=64 * MIB, cpus=3)), scheduler, options)
    machine.cpus[:] = [ExploredCpu(machine, cpu.index, scheduler, hex) for cpu in machine.cpus]
    machine.records = ExploredRecords(machine.records, machine.touch_struct_page)
    pfn = machine.alloc_pages(0, 0, 0)
    assert pfn is not None
    machine.fill_lists()
    words = [machine.page_to_virt(pfn) + 64 * number for number in range(3)]
    spare = machine.alloc_pages(0, _BLOCK, 0)
    assert spare is not None
    machine.free_pages(spare, _BLOCK)
    for cpu in machine.cpus:
        cpu.flush_all()
    page = machine.struct_pages.va(0x1000)
    return Setting(machine, scheduler, Checkpoint(machine, Lists(machine)), words, page, spare)


@dataclass
class Lists:
    machine: ExploredMachine

    def save(self) -> Callable[[], None]:
        restore: Callable[[], None] = self.machine.save_lists()
        return restore


@dataclass
class Running:
    """One random program under way."""

    machine: ExploredMachine
    cpu: ExploredCpu
    here: Setting
    held: ExitStack
    frames: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)

    def word(self, number: int) -> int:
        return self.here.words[number]

    def lock(self, number: int) -> Lock:
        return self.machine.locks.named(f"lock {number % 2}")

    def load(self, first: int, second: int) -> None:
        if self.cpu.load_word(self.word(first)) == 2 and second == 2:
            raise KernelBug("a load of 2")

    def copy(self, first: int, second: int) -> None:
        self.cpu.store_word(self.word(second), self.cpu.load_word(self.word(first)) + 1)

    def test(self, first: int, _: int) -> None:
        if self.machine.key_enabled():
            self.cpu.store_word(self.word(first), 2)

    def synchronize(self, _: int, __: int) -> None:
        self.held.close()
        self.machine.synchronize_rcu()

    def allocate(self, first: int, _: int) -> None:
        if (pfn := self.machine.alloc_pages(0, 0, 0)) is not None:
            self.frames.append(pfn)
            self.cpu.store_word(self.word(first), pfn)

    def free(self, _: int, __: int) -> None:
        if self.frames:
            self.machine.free_pages(self.frames.pop(), 0)

    def allocate_block(self, first: int, _: int) -> None:
        if (pfn := self.machine.alloc_pages(0, _BLOCK, 0)) is not None:
            self.blocks.append(pfn)
            self.cpu.store_word(self.word(first), pfn)

    def free_block(self, _: int, __: int) -> None:
        if self.blocks:
            self.machine.free_pages(self.blocks.pop(), _BLOCK)

    def take(self, first: int, second: int) -> None:
        if self.machine.take_free_frame(self.here.spare + second):
            self.cpu.store_word(self.word(first), 1)

    def entry(self, _: int, second: int) -> None:
        slot = self.machine.tables.find(self.here.page).slot
        leaf = self.machine.memory.read_word(slot) & ~_OTHER_LEAF
        self.cpu.write_entry(self.machine.virt(slot), leaf | (_OTHER_LEAF if second % 2 else 0))


#: What the operations of random programs do.
OPERATIONS: dict[str, Callable[[Running, int, int], object]] = {
    "load": Running.load,
    "store": lambda run, first, second: run.cpu.store_word(run.word(first), second),
    "copy": Running.copy,
    "cmpxchg": lambda run, first, second: run.cpu.compare_and_swap(run.word(first), 0, second + 1),
    "set": lambda run, first, second: run.cpu.change_bits(run.word(first), set_bits=1 << second),
    "add": lambda run, _, __: run.machine.change_key(1),
    "test": Running.test,
    "lock": lambda run, first, _: run.held.enter_context(run.lock(first)),
    "read lock": lambda run, first, _: run.held.enter_context(run.lock(first).shared),
    "unlock": lambda run, _, __: run.held.close(),
    "rcu": lambda run, _, __: run.held.enter_context(run.machine.locks.rcu_read()),
    "synchronize": Running.synchronize,
    "allocate": Running.allocate,
    "free": Running.free,
    "allocate block": Running.allocate_block,
    "free block": Running.free_block,
    "take": Running.take,
    "page load": lambda run, first, _: run.cpu.load_word(run.here.page + 8 * first),
    "entry": Running.entry,
    "flush": lambda run, first, _: run.machine.cpus[first % 2].flush_all(),
    "flush range": lambda run, first, _: run.machine.cpus[first % 2].flush_range(run.here.page, run.here.page + 4096),
}


def cached(cpu: ExploredCpu, page: int) -> list[list[int]]:
    """The translations of the page that a CPU has cached."""
    rows = cpu.cached_translations()
    assert rows is not None
    return [row for row in rows.tolist() if row[0] <= page < row[0] + (row[2] << 12)]


class RandomProgram:
    """Random programs as actors; the last one reports a finding if word 0 is 2 at the end."""

    def __init__(self, here: Setting, programs: Programs) -> None:
        self.here, self.programs, self.scheduler = here, programs, here.scheduler

    def restore(self) -> None:
        self.here.checkpoint.restore()

    def actors(self) -> list[Actor]:
        return [Actor(index, f"actor {index}", self._body(index), index) for index in range(len(self.programs))]

    def _body(self, index: int) -> Callable[[], None]:
        return lambda: self._execute(index)

    def _execute(self, index: int) -> None:
        with ExitStack() as held:
            run = Running(self.here.machine, self.here.cpus[index], self.here, held)
            for name, first, second in self.programs[index]:
                OPERATIONS[name](run, first, second)

    def refine(self) -> bool:
        return False

    def check(self) -> list[str]:
        values = [self.here.machine.memory.read_word(word - self.here.machine.virt(0)) for word in self.here.words]
        tlbs = [sorted(map(tuple, cached(cpu, self.here.page))) for cpu in self.here.cpus]
        return [f"at the end {values}, {tlbs}, next block {self.here.machine.alloc_pages(0, _BLOCK, 0)}"]


def _operations(most: int) -> st.SearchStrategy[tuple[Operation, ...]]:
    operation = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 2), st.integers(0, 2))
    return st.lists(operation, min_size=1, max_size=most).map(tuple)


def outcome(result: Result) -> tuple[set[int], set[str]]:
    return result.classes, set(result.findings)


def searched(programs: Programs, search: Search, failures: int, *, ordered: bool) -> Result:
    return explore(RandomProgram(setting(failures, ordered=ordered), programs), search, _EVERYTHING)


def agree(programs: Programs, failures: int = 0, *, ordered: bool = False, naive: bool = True) -> Result:
    """Compare every search; return the result of the default one."""
    default = searched(programs, Dpor(), failures, ordered=ordered)
    others: dict[str, Search] = {
        "without sleep sets": Dpor(sleep=False),
        "recording every step": Recording(),
        "unbounded, cached": Bounded(None),
        "bounded at its limit, cached": Bounded(64),
        "portfolio": SearchSpec("portfolio", bound=64).make(),
    }
    if naive:
        others["every schedule"] = Bounded(None, cache=False)
    assert default.complete
    for name, search in others.items():
        result = searched(programs, search, failures, ordered=ordered)
        assert result.complete, name
        assert outcome(result) == outcome(default), name
    for kind in ("pct", "random"):
        result = explore(
            RandomProgram(setting(failures, ordered=ordered), programs), SearchSpec(kind).make(), _A_FEW_SCHEDULES
        )
        assert result.classes <= default.classes, kind
        assert set(result.findings) <= set(default.findings), kind
    return default


@pytest.mark.slow
@given(programs=st.tuples(_operations(3), _operations(3)), failures=st.integers(0, 1), ordered=st.booleans())
@settings(max_examples=30)
def test_all_searches_agree_on_two_random_programs(programs: Programs, failures: int, *, ordered: bool) -> None:
    agree(programs, failures, ordered=ordered)


@pytest.mark.slow
@given(programs=st.tuples(_operations(2), _operations(2), _operations(2)), failures=st.integers(0, 1))
@settings(max_examples=12)
def test_all_searches_agree_on_three_random_programs(programs: Programs, failures: int) -> None:
    agree(programs, failures, naive=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("actors", "failures"),
    [
        ("optimize A, taker A.64", 0),
        ("allocate A, taker A.64", 0),
        ("allocate A, taker-6.11 A.64", 0),
        ("recycle A.64, taker A.64", 0),
        ("optimize A, scanner A.64", 0),
        ("optimize A, sysctl-off", 1),
        ("restore A, walk-ahead A.64", 1),
    ],
)
def test_all_searches_agree_on_actors_of_the_engine(actors: str, failures: int) -> None:
    found = [
        explore(program(actors, failures=failures), search, _EVERYTHING)
        for search in (Dpor(), Dpor(sleep=False), Bounded(None), Bounded(64), SearchSpec("portfolio", 64).make())
    ]
    assert all(result.complete for result in found)
    assert all(outcome(result) == outcome(found[0]) for result in found)


def test_two_stores_to_one_word_are_two_classes_and_to_two_words_one() -> None:
    assert len(agree(((("store", 0, 1),), (("store", 0, 2),))).classes) == 2
    assert len(agree(((("store", 0, 1),), (("store", 1, 2),))).classes) == 1


def test_a_deadlock_is_found_by_every_search() -> None:
    crossing = (("lock", 0, 0), ("lock", 1, 0)), (("lock", 1, 0), ("lock", 0, 0))
    assert any(text.startswith("deadlock") for text in agree(crossing).findings)


@pytest.mark.slow
def test_a_writer_comes_before_or_after_a_reader_that_reads_twice() -> None:
    twice = ("read lock", 0, 0), ("read lock", 0, 0)
    assert len(agree((twice, (("lock", 0, 0),))).classes) == 2
    assert len(agree((twice, (("lock", 0, 0),), (("read lock", 0, 0),))).classes) == 4


def test_races_behind_a_lock_that_is_released_are_found() -> None:
    result = agree(
        (
            (("lock", 0, 0), ("store", 0, 1), ("unlock", 0, 0), ("store", 1, 1)),
            (("lock", 0, 0), ("load", 1, 2), ("unlock", 0, 0), ("store", 0, 2)),
        )
    )
    assert len(result.classes) > 2


def test_single_frames_and_the_block_of_a_page_that_is_taken_are_freed_in_any_order() -> None:
    singles, take = (("allocate", 0, 0), ("free", 0, 0)), (("take", 1, 1),)
    assert len(agree((singles, take)).classes) == 1
    assert len(agree((singles, (("allocate block", 1, 0), ("free block", 0, 0)))).classes) > 1
    assert len(agree((take, (("allocate block", 2, 0),))).classes) == 2


@pytest.mark.parametrize("other", ["flush", "flush range", "entry", "page load"])
def test_a_translation_that_is_cached_before_or_after_is_seen_at_the_end(other: str) -> None:
    result = agree(((("page load", 0, 0),), ((other, 0, 0),)))
    assert len(result.findings) == len(result.classes) == (1 if other == "page load" else 2)
