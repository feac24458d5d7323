# SPDX-License-Identifier: GPL-2.0-only
"""Tracer that emits an event for each batch, folio and copied page while a kernel's code runs."""

from __future__ import annotations

from typing import Final

from hvolab.hvo import ENOMEM
from hvolab.machine import Cpu, Machine
from hvolab.trace import Batch, FolioStep, PageCopied

#: Functions that handle one folio, with the operation. Kernel: mm/hugetlb_vmemmap.c, v6.1, v6.12.
FOLIO_FUNCTIONS: Final = {
    "hugetlb_vmemmap_optimize": "optimize",
    "hugetlb_vmemmap_restore": "restore",
    "__hugetlb_vmemmap_optimize_folio": "optimize",
    "__hugetlb_vmemmap_restore_folio": "restore",
}
#: Functions that copy a page, or the bytes that the third argument gives.
COPY_FUNCTIONS: Final = ("copy_page", "__memcpy")


class FolioTracer:
    """Emits batch, folio and copy events at the entry of kernel functions, and at the return from them."""

    def __init__(self, machine: Machine, cpu: Cpu) -> None:
        self._machine = machine
        self._cpu = cpu
        layout = machine.struct_pages.layout
        self._private, self._bit = layout.private, layout.hpg_vmemmap_optimized
        self._page_size = machine.target.mode.page_size
        self._current: tuple[str, int] | None = None
        self._batch = ""

    def _optimized(self, folio: int) -> bool:
        return bool(self._cpu.load_word(folio + self._private) >> self._bit & 1)

    def begin(self, operation: str, folio: int) -> None:
        """Emit that an operation on a folio begins; ends the one before it."""
        self.end()
        optimized = self._optimized(folio)
        if optimized is (operation == "restore") and (optimized or self._machine.optimize_enabled):
            self._current = (operation, folio)
            self._machine.trace.emit(FolioStep(f"{operation}.begin", folio))

    def end(self) -> None:
        """Emit that the current operation ended, if there is one."""
        if self._current is None:
            return
        (operation, folio), self._current = self._current, None
        failed = self._optimized(folio) is (operation == "restore")
        self._machine.trace.emit(FolioStep(f"{operation}.end", folio, -ENOMEM if failed else 0))

    def begin_batch(self, operation: str) -> None:
        """Emit that an operation on a list begins, unless it has; ends the one before it."""
        if self._batch != operation:
            self.end_batch()
            self._batch = operation
            self._machine.trace.emit(Batch(f"{operation}.begin"))

    def end_batch(self) -> None:
        """Emit that the current operations on a folio and on a list ended, if there are some."""
        self.end()
        operation, self._batch = self._batch, ""
        if operation:
            self._machine.trace.emit(Batch(f"{operation}.end"))

    def copied(self, to_va: int, from_va: int, size: int) -> None:
        """Emit that a page was copied; other sizes are ignored."""
        if size == self._page_size:
            self._machine.trace.emit(PageCopied(0, to_va, from_va))
