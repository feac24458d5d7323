# SPDX-License-Identifier: GPL-2.0-only
"""A modeled CPU that reports every translation: by which TLB entry or table entries, and to which PA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hvolab.arch import Access
from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab.machine.cpus.model_cpu import ModelCpu
from hvolab.machine.cpus.model_runs import unaligned

_WRITE = int(Access.WRITE)


@dataclass(frozen=True, slots=True)
class Translated:
    """One translation.

    cpu      number of the CPU
    va, pa   what was translated, and the result
    stores   whether the access stores
    walked   PAs of the table entries that the walk read, the root's first; empty if the TLB had the translation
    changed  PAs of those whose accessed or dirty flag the walk set
    """

    cpu: int
    va: int
    pa: int
    stores: bool
    walked: tuple[int, ...]
    changed: tuple[int, ...]


class ObservedCpu(ModelCpu):
    """A modeled CPU whose translations go to ``observer``, each before its access.

    An access that faults is reported as far as its walk came, with the PA 0.
    """

    def __init__(self, *arguments: Any, observer: Callable[[Translated], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._observer = observer

    def translate(self, va: int, need: int) -> int:
        """Return the PA of ``va`` as :meth:`ModelCpu.translate`, and report it."""
        steps = None
        try:
            pa = self.cached(va, need)
            if pa is None:
                steps = [(step.slot, step.raw) for step in self._tables.walk(va)]
                pa = self._fill(va, need)
        except Exception:
            self._report(va, 0, need, steps)
            raise
        self._report(va, pa, need, steps)
        return pa

    def cached(self, va: int, need: int) -> int | None:
        """Return the PA of ``va`` by the TLB alone; None if it has no translation that allows the access."""
        for shift, cached in (self._tlb[0], *reversed(self._tlb[1:])):  # in the order of ModelCpu.translate()
            hit = cached.get(va >> shift)
            if hit is not None and hit[1] & need == need:
                return hit[0] | va & (1 << shift) - 1
        return None

    def _report(self, va: int, pa: int, need: int, steps: list[tuple[int, int]] | None) -> None:
        walked = steps or []
        read = self._memory.read_word
        changed = tuple(slot for slot, raw in walked if read(slot) != raw)
        slots = tuple(slot for slot, _ in walked)
        self._observer(Translated(self.index, va, pa, bool(need & _WRITE), slots, changed))

    def _word(self, va: int, need: int) -> int:
        if va & (WORD_BYTES - 1):
            raise unaligned(va, WORD_BYTES)
        return self._memory.offset(self.translate(va, need), WORD_BYTES) >> WORD_SHIFT
