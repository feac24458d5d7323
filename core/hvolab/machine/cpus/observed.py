# SPDX-License-Identifier: GPL-2.0-only
"""A modeled CPU that reports every translation: by which TLB entry or table entries, and to which PA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hvolab.arch import Access
from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab.machine.cpus.model_cpu import ModelCpu
from hvolab.machine.cpus.model_runs import unaligned

_WRITE = int(Access.WRITE)
_new = tuple.__new__


class Translated(NamedTuple):
    """One translation.

    cpu      number of the CPU
    va, pa   what was translated, and the result
    stores   whether the access stores
    shift    log2 of the bytes that the TLB entry maps which was used or filled; 0 if the access faults
    walked   PAs of the table entries that the walk read, the root's first; empty if the TLB had the translation
    changed  PAs of those whose accessed or dirty flag the walk set
    """

    cpu: int
    va: int
    pa: int
    stores: bool
    shift: int
    walked: tuple[int, ...]
    changed: tuple[int, ...]


class ObservedCpu(ModelCpu):
    """A modeled CPU whose translations go to ``observer``, each before its access.

    An access that faults is reported as far as its walk came, with the PA 0.
    """

    def __init__(self, *arguments: Any, observer: Callable[[Translated], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._observer = observer
        first, *larger = self._tlb  # in the order of ModelCpu.translate()
        self._in_order = [(shift, (1 << shift) - 1, cached) for shift, cached in (first, *reversed(larger))]

    def translate(self, va: int, need: int) -> int:
        """Return the PA of ``va`` as :meth:`ModelCpu.translate`, and report it."""
        pa, shift = self._cached(va, need)
        if not shift:
            return self._translate_by_walk(va, need)
        self._observer(_new(Translated, (self.index, va, pa, need & _WRITE != 0, shift, (), ())))
        return pa

    def _translate_by_walk(self, va: int, need: int) -> int:
        pa = shift = 0
        read: list[tuple[int, int]] = []
        try:
            pa = self._fill(va, need, read)
            shift = self._cached(va, need)[1]
        finally:
            base, words = self._memory.base, self._memory.entry_scalar
            changed = tuple([base + (index << WORD_SHIFT) for index, raw in read if words[index] != raw])
            walked = tuple([base + (index << WORD_SHIFT) for index, _ in read])
            self._observer(Translated(self.index, va, pa, bool(need & _WRITE), shift, walked, changed))
        return pa

    def _cached(self, va: int, need: int) -> tuple[int, int]:
        """Return PA and log2 of the size by the TLB alone; 0 and 0 if no translation there allows the access."""
        for shift, inside, cached in self._in_order:
            hit = cached.get(va >> shift)
            if hit is not None and hit[1] & need == need:
                return hit[0] | va & inside, shift
        return 0, 0

    def cached_in(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the TLB entries that map a part of ``[start, end)``: log2 of the size, and the VA shifted by that."""
        return [
            (shift, number)
            for shift, cached in self._tlb
            for number in cached
            if start >> shift <= number <= (end - 1) >> shift
        ]

    def _word(self, va: int, need: int) -> int:
        if va & (WORD_BYTES - 1):
            raise unaligned(va, WORD_BYTES)
        offset = (pa := self.translate(va, need)) - self._base
        if not 0 <= offset < self._size or self._memory.present is not None:
            self._memory.offset(pa, WORD_BYTES)
        return offset >> WORD_SHIFT
