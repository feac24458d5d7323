# SPDX-License-Identifier: GPL-2.0-only
"""Every method of an emulated CPU does to memory what the modeled one does, tells the same events, gives the same."""

# ruff: noqa: ARG005 - every act takes the CPU, some pages and their size

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hvolab.arch import BARRIERS
from hvolab.errors import UsageError
from hvolab.machine import Cpu, MachineSpec
from hvolab.machine.cpus.bulk import bulk_of
from hvolab.machine.struct_pages import lists
from tests.plugins.hvolab_unicorn.twins import MIB, MODES, Twins, pages, target_of, twins

Act = Callable[[Any, list[int], int], Any]


def u64(*values: int) -> Any:
    return np.array(values, dtype=np.uint64)


def chain(cpu: Cpu, p: list[int], size: int) -> list[int]:
    """A list of 300 nodes in a page, followed."""
    del size
    lists.init(cpu, p[0])
    for node in range(1, 301):
        lists.add_tail(cpu, p[1] + 16 * (node % 128) + 2048 * (node // 128), p[0])
    found: list[int] = lists.walk(cpu, p[0]).tolist()
    return found


HANDLERS: dict[str, Act] = {
    "load": lambda cpu, p, size: [cpu.load(p[0] + 1, 7), cpu.load(p[0] + size - 3, size + 9), cpu.load(p[1], 64)],
    "load more than a buffer": lambda cpu, p, size: cpu.load(p[0] + 3, size * 4 - 5),
    "store": lambda cpu, p, size: [
        cpu.store(p[0] + 1, b"abc"),
        cpu.store(p[1] - 5, bytes(range(200))),
        cpu.store(p[2] - 8, bytes(range(16))),
        cpu.store(p[1] + 64, b"x" * (2 * size)),
    ],
    "load_word": lambda cpu, p, size: [cpu.load_word(p[0]), cpu.load_word(p[1] + size - 8)],
    "store_word": lambda cpu, p, size: [cpu.store_word(p[0], (1 << 64) - 1), cpu.store_word(p[1] + size - 8, 7)],
    "load_words": lambda cpu, p, size: cpu.load_words(u64(p[3], p[0] + 8, p[3] + size - 8, p[0])).tolist(),
    "load_words, many": lambda cpu, p, size: cpu.load_words(
        np.uint64(p[0]) + np.arange(size // 2, dtype=np.uint64)[::-1] * np.uint64(8)
    ).tolist(),
    "load_words, none": lambda cpu, p, size: cpu.load_words(u64()).tolist(),
    "load_chain": chain,
    "store_words": lambda cpu, p, size: cpu.store_words(
        u64(p[2], p[1] + 16, p[3] + size - 8), u64(1, 2, (1 << 64) - 1)
    ),
    "store_words, many": lambda cpu, p, size: cpu.store_words(
        np.uint64(p[0]) + np.arange(size // 4, dtype=np.uint64) * np.uint64(16), np.arange(size // 4, dtype=np.uint64)
    ),
    "compare_and_swap": lambda cpu, p, size: [
        cpu.compare_and_swap(p[0] + 8, cpu.load_word(p[0] + 8), 5),
        cpu.compare_and_swap(p[0] + 8, 6, 7),
    ],
    "copy_page": lambda cpu, p, size: cpu.copy_page(p[0], p[3]),
    "copy_pages, one source": lambda cpu, p, size: cpu.copy_pages(u64(p[2], p[0], p[1]), u64(p[3], p[3], p[3])),
    "copy_runs in a page": lambda cpu, p, size: cpu.copy_runs(u64(p[2], p[0]), u64(p[2] + 192, p[0] + 192), 192),
    "load and store": lambda cpu, p, size: [cpu.store(p[0], cpu.load(p[3] + 8, 192)), cpu.store(p[1] + 1, b"x" * 13)],
    "read_entries": lambda cpu, p, size: [cpu.read_entries(p[0], 0).tolist(), cpu.read_entries(p[1] + 8, 64).tolist()],
    "read_entry_rows": lambda cpu, p, size: cpu.read_entry_rows(u64(p[2], p[0] + 64, p[1]), 8).tolist(),
    "copy_pages": lambda cpu, p, size: cpu.copy_pages(u64(p[0], p[2]), u64(p[3], p[1])),
    "copy_runs": lambda cpu, p, size: cpu.copy_runs(u64(p[0] + 8, p[2]), u64(p[3], p[1] + 8), 72),
    "write_entry": lambda cpu, p, size: cpu.write_entry(p[0] + 24, 0x8000000000000163),
    "write_entries": lambda cpu, p, size: cpu.write_entries(p[0], np.arange(size // 8, dtype=np.uint64)),
    "write_entry_rows": lambda cpu, p, size: cpu.write_entry_rows(
        u64(p[2], p[0] + 64, p[1]), np.arange(24, dtype=np.uint64).reshape(3, 8)
    ),
    "write_entry_rows, many": lambda cpu, p, size: cpu.write_entry_rows(
        np.uint64(p[0]) + np.arange(size // 32, dtype=np.uint64) * np.uint64(64),
        np.arange(size // 4, dtype=np.uint64).reshape(-1, 8),
    ),
    "exchange_entry": lambda cpu, p, size: [
        cpu.exchange_entry(p[0], cpu.load_word(p[0]), 9),
        cpu.exchange_entry(p[0], 8, 7),
    ],
    "flush_range": lambda cpu, p, size: [cpu.flush_range(p[0], p[0] + size), cpu.flush_range(p[0] + 8, p[3] + 1)],
    "flush_range, far": lambda cpu, p, size: [cpu.flush_range(p[0], p[0] + 5000 * size), cpu.flush_range(p[0], p[0])],
    "flush_all": lambda cpu, p, size: cpu.flush_all(),
    "barrier": lambda cpu, p, size: [cpu.barrier(kind) for kind in BARRIERS],
}


@pytest.fixture(params=MODES, scope="module")
def pair(request: pytest.FixtureRequest) -> Twins:
    """Machines of one mode, in which every test takes pages of its own."""
    return twins(target_of(request.param), MachineSpec(memory=64 * MIB))


@pytest.mark.parametrize("act", HANDLERS.values(), ids=HANDLERS)
def test_a_method_does_gives_and_tells_the_same(pair: Twins, act: Act) -> None:
    size = pair.model.target.mode.page_size
    told = []
    for machine in (pair.model, pair.emulated):
        taken = pages(machine, 4)
        quiet = act(machine.cpus[0], taken, size)
        with machine.trace.record() as events:
            heard = act(machine.cpus[0], taken, size)
        told.append((quiet, heard, events))
    assert told[0][:2] == told[1][:2]
    assert told[0][2] == told[1][2]
    pair.assert_same()


def test_walks_by_loads_of_the_guest_end_where_those_of_the_model_end(pair: Twins) -> None:
    pages_of = pair.model.struct_pages
    for va in (pages_of.va(pair.model.memory.first_pfn), pair.model.virt(pair.model.memory.base), 0, (1 << 64) - 8):
        found = [bulk_of(machine.cpus[0]).find_entry(machine.tables, va) for machine in (pair.model, pair.emulated)]
        assert found[0] == found[1]


def test_a_barrier_of_an_unknown_kind_is_refused(pair: Twins) -> None:
    with pytest.raises(UsageError, match=r"unknown barrier 'of_reef'; .*smp_wmb, walker, instruction"):
        pair.cpus[0].barrier("of_reef")


def test_the_contents_of_the_tlb_are_not_reported(pair: Twins) -> None:
    assert pair.emulated.cpus[0].cached_translations() is None
