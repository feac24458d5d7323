# SPDX-License-Identifier: GPL-2.0-only
"""Bulk operations: a CPU that has none of its own has the same, one operation after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hvolab.arch import PageFault, PgprotRole
from hvolab.errors import HvolabError
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.machine.cpus.bulk import Bulk, bulk_of, is_bulk
from hvolab.plugin import registry
from tests.folios import allocator
from tests.primitive_cpu import primitive_cpu

MODES = (("x86_64", "4-level"), ("arm64", "16K-48bit"), ("riscv", "Sv39"))


def u64(*values: int) -> npt.NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def numbers(size: int) -> npt.NDArray[np.uint64]:
    return np.arange(1, size + 1, dtype=np.uint64)


#: By name: what is done to pages at ``p``, with the machine's tables at hand.
OPERATIONS: dict[str, Callable[[Bulk, Machine, list[int]], Any]] = {
    "load_words": lambda bulk, _, p: bulk.load_words(u64(p[3], p[0] + 8, p[2] + 16)),
    "load_words, many": lambda bulk, _, p: bulk.load_words(np.uint64(p[0]) + numbers(300) * np.uint64(8)),
    "load_words, none": lambda bulk, _, p: bulk.load_words(u64(*p[:0])),
    "store_words": lambda bulk, _, p: bulk.store_words(u64(p[3], p[0] + 8, p[2] + 16), u64(1, (1 << 64) - 1, 3)),
    "store_words, many": lambda bulk, _, p: bulk.store_words(
        np.uint64(p[0]) + numbers(300) * np.uint64(8), numbers(300)
    ),
    "copy_pages": lambda bulk, _, p: bulk.copy_pages(u64(p[0], p[2]), u64(p[3], p[1])),
    "copy_pages of one": lambda bulk, _, p: bulk.copy_pages(u64(*p[:3]), u64(p[3], p[3], p[3])),
    "copy_runs": lambda bulk, _, p: bulk.copy_runs(u64(p[0], p[2]), u64(p[0] + 192, p[2] + 192), 192),
    "find_entry": lambda bulk, machine, p: [bulk.find_entry(machine.tables, va) for va in (*p, 0, (1 << 64) - 4096)],
    "read_entries": lambda bulk, _, p: bulk.read_entries(p[1] + 8, 100),
    "read_entry_rows": lambda bulk, _, p: bulk.read_entry_rows(u64(p[1], p[0] + 64), 8),
    "read_entry_rows, none": lambda bulk, _, p: bulk.read_entry_rows(u64(*p[:0]), 8),
    "write_entries": lambda bulk, _, p: bulk.write_entries(p[1] + 8, numbers(100)),
    "write_entry_rows": lambda bulk, _, p: bulk.write_entry_rows(u64(p[1], p[0] + 64), numbers(16).reshape(2, 8)),
}


def machine_of(mode: tuple[str, str], *, primitive: bool) -> tuple[Machine, Bulk, list[int]]:
    """A machine, the bulk operations of its CPU, and four pages with other words each."""
    machine = build_machine(registry().architecture(mode[0]).select(mode[1]), MachineSpec(memory=64 << 20))
    if primitive:
        machine.cpus[0] = primitive_cpu(machine, 0)
    assert is_bulk(machine.cpus[0]) is not primitive
    pfns = machine.alloc_pages_run(4, 0xCC0, 0)
    words = machine.memory.pages[pfns - machine.memory.first_pfn]
    machine.memory.pages[pfns - machine.memory.first_pfn] = numbers(words.size).reshape(words.shape)
    return machine, bulk_of(machine.cpus[0]), [machine.page_to_virt(pfn) for pfn in pfns.tolist()]


@pytest.mark.parametrize("mode", MODES, ids="-".join)
def test_each_operation_returns_stores_and_reports_the_same(mode: tuple[str, str]) -> None:
    (ours, own, p), (theirs, fallback, q) = (machine_of(mode, primitive=primitive) for primitive in (False, True))
    assert p == q
    for name, operation in OPERATIONS.items():
        with ours.trace.record() as events, theirs.trace.record() as stepwise_events:
            results = operation(own, ours, p), operation(fallback, theirs, q)
        assert np.array_equal(*results), name
        assert getattr(results[0], "dtype", None) == getattr(results[1], "dtype", None), name
        assert events == stepwise_events, name
    assert np.array_equal(ours.memory.octets, theirs.memory.octets)


@pytest.mark.parametrize("primitive", [False, True])
@pytest.mark.parametrize("length", [1, 2, 100, 1500])
def test_a_chain_is_followed_to_its_end_and_one_without_an_end_is_refused(length: int, primitive: bool) -> None:  # noqa: FBT001 - a parameter of the test
    machine, bulk, p = machine_of(MODES[0], primitive=primitive)
    vas = np.uint64(p[0]) + np.arange(length + 1, dtype=np.uint64) * np.uint64(8)
    bulk.store_words(vas, np.append(vas[1:], vas[:1]))
    assert bulk.load_chain(p[0], int(vas[-1])).tolist() == vas[1:-1].tolist()
    with pytest.raises(HvolabError, match="comes back to VA"):
        bulk.load_chain(p[0], 1)
    assert machine.cpus[0].index == 0


@pytest.mark.parametrize("primitive", [False, True])
def test_an_operation_faults_where_one_of_its_parts_does(primitive: bool) -> None:  # noqa: FBT001 - a parameter of the test
    machine, bulk, p = machine_of(MODES[0], primitive=primitive)
    mode = machine.target.mode
    va = p[0] + (1 << 40)
    tables = iter([allocator(machine).reserve_any(1, 1) << mode.page_shift for _ in mode.levels])
    machine.tables.map_leaf(va, 1, mode.last.name, PgprotRole.KERNEL_RO, lambda _: next(tables))
    parts: list[Callable[[], None]] = [
        lambda: bulk.store_words(u64(p[1], va), u64(1, 2)),
        lambda: bulk.copy_pages(u64(p[1], va), u64(p[2], p[2])),
        lambda: bulk.copy_runs(u64(va), u64(p[2]), 64),
        lambda: bulk.write_entries(va, u64(1)),
    ]
    for part in parts:
        with pytest.raises(PageFault) as caught:
            part()
        assert caught.value.fault.va == va
