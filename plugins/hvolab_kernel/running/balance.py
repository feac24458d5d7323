# SPDX-License-Identifier: GPL-2.0-only
"""Locks and counters of a kernel that a function of HVO raises and lowers: equal before and after each call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from hvolab_kernel.running.loader import LoadedKernel

#: The only one of these that a task may hold while it sleeps.
MMAP_LOCK: Final = "mmap_lock of init_mm"
#: Words that are the same after a call: name, symbol, struct, member and bytes. A kernel has some of them.
#: Kernel: init_mm in mm/init-mm.c; pcpu_hot and __preempt_count of x86, else thread_info.preempt_count, v6.12, v7.2.
_WORDS: Final = (
    (MMAP_LOCK, "init_mm", "mm_struct", "mmap_lock", 8),
    ("preempt_count", "pcpu_hot", "pcpu_hot", "preempt_count", 4),
    ("preempt_count", "__preempt_count", "", "", 4),
    ("preempt_count", "init_task", "task_struct", "thread_info.preempt_count", 4),
    ("nesting of rcu_read_lock()", "init_task", "task_struct", "rcu_read_lock_nesting", 4),
)
#: A spinlock, of either kind: free if both halves are equal, as owner and next of tickets, or 0 as a queued one.
_LOCK: Final = ("page_table_lock of init_mm", "init_mm", "mm_struct", "page_table_lock", 4)
_HALF: Final = 16


class _Word(NamedTuple):
    name: str
    va: int
    size: int
    lock: bool


class Balance:
    """These words of a kernel in its memory."""

    def __init__(self, loaded: LoadedKernel) -> None:
        self._loaded = loaded
        self._words = tuple(
            _Word(name, self._place(symbol, struct, member), size, (name, symbol, struct, member, size) == _LOCK)
            for name, symbol, struct, member, size in (*_WORDS, _LOCK)
            if self._place(symbol, struct, member)
        )

    def _place(self, symbol: str, struct: str, member: str) -> int:
        """Return the VA of a word; 0 for one that this kernel does not have."""
        kernel = self._loaded.kernel
        found = kernel.symbols.all(symbol)
        if not found or (struct and not kernel.types.has_member(struct, member)):
            return 0
        va = found[0] + (kernel.types.offset(struct, member) if struct else 0)
        segment = kernel.image.segment_of(va)
        if segment is not None and segment.per_cpu:
            va += self._loaded.per_cpu.va - segment.va
        return va if self._loaded.holds(va, 8) else 0

    def read(self) -> Mapping[_Word, int]:
        """Return the value of each word."""
        return {one: self._loaded.read(one.va, one.size) for one in self._words}

    def changed(self, before: Mapping[_Word, int]) -> dict[str, tuple[int, int]]:
        """Return the values before and now of the words that changed, by name; of a lock, of one that is held."""
        now = self.read()
        return {
            one.name: (old, now[one])
            for one, old in before.items()
            if (now[one] >> _HALF != now[one] & (1 << _HALF) - 1 if one.lock else now[one] != old)
        }
