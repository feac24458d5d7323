# SPDX-License-Identifier: GPL-2.0-only
"""Bulk operations of CPUs: an optional interface, and its fallback to one operation after the other."""

from __future__ import annotations

from functools import cache
from typing import Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import KernelBug
from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.memory.tables import PageTables

Entries = npt.NDArray[np.uint64]
Vas = npt.NDArray[np.uint64]
Words = npt.NDArray[np.uint64]


class Bulk(Protocol):
    """Operations on many VAs, page-table entries or pages.

    Each has the effect of the operations of ``Cpu`` that it stands for, one after the other. Where one of them
    faults, which of the others were done is unspecified.
    """

    def load_words(self, vas: Vas) -> Words:
        """Return the word at each VA."""

    def store_words(self, vas: Vas, values: Words) -> None:
        """Store a word at each VA."""

    def load_chain(self, va: int, end: int) -> Words:
        """Return the links of a chain: the word at ``va``, the word where that points, and so on, up to ``end``.

        ``end`` itself is left out. Raises HvolabError for a chain that returns to a link of its own.
        """

    def copy_pages(self, to_vas: Vas, from_vas: Vas) -> None:
        """Copy one page for each pair of VAs."""

    def copy_runs(self, to_vas: Vas, from_vas: Vas, size: int) -> None:
        """Copy ``size`` bytes, whole words, for each pair of VAs; no range crosses a page. Kernel: memcpy()."""

    def find_entry(self, tables: PageTables, va: int) -> tuple[int, int, int]:
        """Walk ``tables`` for ``va``; return depth of the last level reached, PA of the slot there, and its entry."""

    def read_entries(self, slot_va: int, count: int) -> Entries:
        """Return a copy of ``count`` entries of one table. Kernel: ptep_get()."""

    def read_entry_rows(self, slot_vas: Vas, count: int) -> Entries:
        """Return ``count`` entries from each slot on, shape (slots, count)."""

    def write_entries(self, slot_va: int, raws: Entries) -> None:
        """Store entries side by side in one table, in order of VA."""

    def write_entry_rows(self, slot_vas: Vas, rows: Entries) -> None:
        """Store a row of entries from each slot on."""


class BulkCpu(Cpu, Bulk, Protocol):
    """A CPU with bulk operations of its own: all of them, as methods of its class."""


def is_bulk(cpu: Cpu) -> TypeGuard[BulkCpu]:
    """Return whether the class of a CPU has the bulk operations."""
    return _has_bulk(type(cpu))


@cache
def _has_bulk(kind: type) -> bool:
    return all(hasattr(kind, name) for name in vars(_Stepwise) if not name.startswith("_"))


def bulk_of(cpu: Cpu) -> Bulk:
    """Return the bulk operations of a CPU: its own, and a loop over its other operations for each that it lacks."""
    return cpu if is_bulk(cpu) else _Stepwise(cpu)


def change_bits(cpu: Cpu, va: int, *, set_bits: int = 0, clear_bits: int = 0) -> int:
    """Set and clear bits of the word at ``va`` atomically; return the word as it was. Kernel: set_bit(), clear_bit().

    By the CPU's own ``change_bits`` where its class has it, else by compare-and-swap.
    """
    own = getattr(cpu, "change_bits", None)
    if own is not None:
        before: int = own(va, set_bits=set_bits, clear_bits=clear_bits)
        return before
    before = cpu.load_word(va)
    while (found := cpu.compare_and_swap(va, before, before & ~clear_bits | set_bits)) != before:
        before = found
    return before


def find_entry(cpu: Cpu, tables: PageTables, va: int) -> tuple[int, int, int]:
    """Walk ``tables`` for ``va`` by loads of one word each; return as :meth:`Bulk.find_entry`."""
    steps = tables.walk(va, lambda slot: cpu.read_entry(tables.virt(slot)))
    return len(steps) - 1, steps[-1].slot, steps[-1].raw


class _Stepwise:
    """Bulk operations as loops over the operations of one CPU, except those that its class has."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu
        for name in vars(_Stepwise):
            if not name.startswith("_") and hasattr(type(cpu), name):
                setattr(self, name, getattr(cpu, name))

    def load_words(self, vas: Vas) -> Words:
        return _words([self._cpu.load_word(va) for va in vas.tolist()])

    def store_words(self, vas: Vas, values: Words) -> None:
        for va, value in zip(vas.tolist(), values.tolist(), strict=True):
            self._cpu.store_word(va, value)

    def load_chain(self, va: int, end: int) -> Words:
        links: dict[int, None] = {}
        while (va := self._cpu.load_word(va)) != end:
            if va in links:
                raise KernelBug(f"a chain comes back to VA {va:#x} and has no end", va=va)
            links[va] = None
        return _words(list(links))

    def copy_pages(self, to_vas: Vas, from_vas: Vas) -> None:
        for to_va, from_va in zip(to_vas.tolist(), from_vas.tolist(), strict=True):
            self._cpu.copy_page(to_va, from_va)

    def copy_runs(self, to_vas: Vas, from_vas: Vas, size: int) -> None:
        for to_va, from_va in zip(to_vas.tolist(), from_vas.tolist(), strict=True):
            self._cpu.store(to_va, self._cpu.load(from_va, size))

    def find_entry(self, tables: PageTables, va: int) -> tuple[int, int, int]:
        return find_entry(self._cpu, tables, va)

    def read_entries(self, slot_va: int, count: int) -> Entries:
        return _words([self._cpu.read_entry(slot_va + WORD_BYTES * position) for position in range(count)])

    def read_entry_rows(self, slot_vas: Vas, count: int) -> Entries:
        rows = [self.read_entries(slot_va, count) for slot_va in slot_vas.tolist()]
        return np.array(rows, dtype=np.uint64).reshape(-1, count)

    def write_entries(self, slot_va: int, raws: Entries) -> None:
        for position, raw in enumerate(raws.tolist()):
            self._cpu.write_entry(slot_va + WORD_BYTES * position, raw)

    def write_entry_rows(self, slot_vas: Vas, rows: Entries) -> None:
        for slot_va, raws in zip(slot_vas.tolist(), rows, strict=True):
            self.write_entries(slot_va, raws)


def _words(values: list[int]) -> Words:
    return np.array(values, dtype=np.uint64)
