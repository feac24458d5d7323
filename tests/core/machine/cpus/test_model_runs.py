# SPDX-License-Identifier: GPL-2.0-only
"""Accesses to runs of VAs: one walk for each table, no side effect, and copies in place where pages are even."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from hvolab.arch import Access, PgprotRole
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.machine.cpus.model_runs import ModelRuns
from hvolab.machine.cpus.permissions import WalkPermissions
from hvolab.plugin import registry

READ, WRITE = int(Access.READ), int(Access.WRITE)
PAGE, UNIT = 1 << 12, 1 << 21
#: First of the pages that the tests map, next to the end of a table.
VA = 0xFFFFC90000000000 + UNIT - 4 * PAGE


def machine() -> Machine:
    return build_machine(registry().architecture("x86_64").select(), MachineSpec(memory=64 << 20))


def runs_of(machine: Machine) -> ModelRuns:
    def never(va: int, need: int) -> int:
        raise AssertionError(f"{va:#x} is translated by itself for {need}")

    return ModelRuns(machine.memory, machine.tables, WalkPermissions(machine.target), never)


def map_pages(machine: Machine, count: int, role: PgprotRole = PgprotRole.KERNEL) -> npt.NDArray[np.uint64]:
    """Map pages from VA on to frames in descending order; return their VAs."""
    for page in range(count):
        machine.tables.map_leaf(VA + page * PAGE, 0x900 - page, "pte", role, lambda _: new_table(machine))
    return np.uint64(VA) + np.arange(count, dtype=np.uint64) * np.uint64(PAGE)


def new_table(machine: Machine) -> int:
    pfn = machine.alloc_pages(0xDC0, 0, 0)
    assert pfn is not None
    return pfn * PAGE


def offset_by_walk(machine: Machine, va: int) -> int:
    pfn = machine.tables.frame_of(va)
    assert pfn is not None
    return pfn * PAGE + va % PAGE


def test_offsets_are_those_of_a_walk_for_each_va_in_any_order_and_across_tables() -> None:
    box = machine()
    pages = map_pages(box, 9)
    direct = np.uint64(box.page_to_virt(0x123)) + np.arange(0, 3 * UNIT, UNIT, dtype=np.uint64)
    for vas in (pages + np.uint64(8), pages[::-1], direct, np.concatenate((direct, pages, direct)), pages[:1]):
        found = runs_of(box).settled_offsets(vas, WRITE)
        assert found is not None
        assert found.tolist() == [offset_by_walk(box, va) for va in vas.tolist()]
    assert runs_of(box).offsets(pages[:0], READ).size == 0


@pytest.mark.slow
def test_nothing_is_settled_where_one_access_would_fault_or_set_a_flag() -> None:
    box = machine()
    pages = map_pages(box, 9)
    runs = runs_of(box)
    slot = box.tables.find(int(pages[6])).slot
    raw = box.memory.read_word(slot)
    writable = 1 << 1
    for cleared, need, settled in (
        (1, READ, False),
        (1 << 5, READ, False),
        (writable, READ, True),
        (writable, WRITE, False),
    ):
        box.memory.write_word(slot, raw & ~cleared)
        before = box.memory.words.copy()
        assert (runs.settled_offsets(pages, need) is not None) is settled
        assert np.array_equal(before, box.memory.words)
    box.memory.write_word(slot, raw)
    assert runs.settled_offsets(pages, WRITE) is not None
    assert runs.settled_offsets(np.append(pages, np.uint64(VA + UNIT)), READ) is None


def test_a_chain_is_read_ahead_up_to_its_end_or_the_first_link_elsewhere() -> None:
    box = machine()
    runs, step = runs_of(box), 64
    first = box.page_to_virt(0x800)
    links = [first + number * step for number in range(700)]
    for link, following in pairwise(links):
        box.memory.write_word(box.memory.base + link - box.virt(box.memory.base), following)
    assert runs.evenly_linked(first, step, 0).tolist() == links[1:513]
    assert runs.evenly_linked(links[300], step, links[400]).tolist() == links[301:400]
    assert runs.evenly_linked(links[300], step, 0).tolist() == links[301:]
    assert runs.evenly_linked(first, 2 * step, 0).size == 0
    assert runs.evenly_linked((1 << 64) - PAGE, step, 0).size == 0


@pytest.mark.parametrize("step", [1, 3, -2])
@pytest.mark.parametrize("scattered", [False, True])
def test_pages_and_runs_are_copied_alike_at_even_and_at_other_distances(step: int, scattered: bool) -> None:  # noqa: FBT001 - a parameter of the test
    box = machine()
    runs, memory = runs_of(box), box.memory
    sources = np.arange(0x400, 0x400 + 40, dtype=np.int64)
    targets = 0x800 + np.arange(40, dtype=np.int64) * step
    if scattered:
        targets[[3, 30]] = targets[[30, 3]]
    memory.pages[sources] = np.arange(40 * 512, dtype=np.uint64).reshape(40, 512)
    runs.copy_pages(targets * PAGE, sources * PAGE)
    assert np.array_equal(memory.pages[targets], memory.pages[sources])
    runs.copy_runs(targets * PAGE, targets * PAGE + 192, 192)
    assert np.array_equal(memory.pages[targets, :24], memory.pages[sources, 24:48])
    assert np.array_equal(memory.pages[targets, 24:], memory.pages[sources, 24:])
    rows = np.arange(80, dtype=np.uint64).reshape(40, 2)
    runs.write_rows(targets * PAGE + 8, rows)
    assert np.array_equal(runs.read_rows(targets * PAGE + 8, 2), rows)
