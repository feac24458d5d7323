# SPDX-License-Identifier: GPL-2.0-only
"""Pools, and callers of HVO, with a historic fix taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hvolab.hugetlb import Hstate, Pool
from hvolab.hugetlb.memory_failure import page_handle_poison
from hvolab.hugetlb.raw_hwp import clear_hwpoison
from hvolab.hugetlb.replace import folio_hstate
from hvolab.machine.struct_pages import lists


class ClearsMarkAtRemoval(Pool):
    """B07: a folio loses the hugetlb type when it is removed, before its vmemmap is restored."""

    def remove(self, folio: int, *, surplus: bool, demote: bool = False) -> None:
        super().remove(folio, surplus=surplus, demote=demote)
        self.clear_mark(folio)


class MarksLate(Pool):
    """B08: a new folio gets the hugetlb type after it is optimized."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.variant = replace(self.variant, marked_first=False)


class RestoresAny(Pool):
    """B09: a dissolved folio is restored whether it has the hugetlb type or not."""

    def update_and_free(self, folio: int) -> None:
        self.hvo.restore_folio(self.h, folio)
        super().update_and_free(folio)


class ClearsFlagsOfTails(Pool):
    """B10: flags of every tail are cleared before the vmemmap is restored."""

    def update_and_free(self, folio: int) -> None:
        size = self._layout.size
        for page in range(folio + size, folio + (size << self.h.order), size):
            self.cpu.store_word(page, self.cpu.load_word(page) & ~(1 << self._layout.pg_referenced))
        super().update_and_free(folio)


class KeepsOnList(Pool):
    """B16: a folio that cannot be restored is added while it is on another list."""

    def _bulk_restore_error(self, head: int, non_hvo: int) -> None:
        if not lists.empty(self.cpu, non_hvo):
            super()._bulk_restore_error(head, non_hvo)
            return
        for folio in self.folios(head):
            if not self.hvo.restore_folio(self.h, folio):
                self._free_restored(folio)
                break
            with self.hugetlb_lock:
                self.add(folio, surplus=True)


class ClearsMarkOfOptimized(Pool):
    """B18: the type is cleared if the folio was optimized when freeing began."""

    def clear_mark(self, folio: int) -> None:
        if self.begun is None or self.begun:
            super().clear_mark(folio)

    begun: bool | None = None

    def update_and_free(self, folio: int) -> None:
        self.begun = self.folio.flag(folio, self._layout.hpg_vmemmap_optimized)
        try:
            super().update_and_free(folio)
        finally:
            self.begun = None


class MovesPoisonFirst(Pool):
    """B20: PG_hwpoison moves to the recorded pages before the folio loses the hugetlb type."""

    def update_and_free(self, folio: int) -> None:
        if self.folio.poisoned(folio):
            clear_hwpoison(self.folio, folio)
        super().update_and_free(folio)


class OptimizesOneByOne(Pool):
    """B26: the parts of a demoted folio are optimized one by one."""

    def prep_and_add(self, head: int, finish: Callable[[int], None] | None = None) -> None:
        for folio in self.folios(head):
            self.hvo.optimize_folio(self.h, folio)
        super().prep_and_add(head, finish)


class DissolvesAsPersistent(Pool):
    """B31: dissolving a surplus folio leaves surplus as it was."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.variant = replace(self.variant, dissolves_surplus=False)


def dissolve_under_lock(pool: Pool, folio: int, pfn: int) -> int:
    """B19: memory_failure() dissolves under the lock of the lists of free pages."""
    with pool.machine.locks.named("pcp_batch_high_lock"):
        return page_handle_poison(pool, folio, pfn)


def find_hstate_without_lock(pool: Pool, folio: int) -> Hstate | None:
    """B21: the type of a folio is tested without the lock, and used."""
    return folio_hstate(pool, folio) if pool.folio.is_hugetlb(folio) else None
