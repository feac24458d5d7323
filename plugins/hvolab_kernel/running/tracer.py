"""Tells listeners what a kernel's code does beside calling out: folios begun and done with, pages copied."""

from __future__ import annotations

from typing import Final

from hvolab.hvo.remap import ENOMEM
from hvolab.machine import Cpu, Machine
from hvolab.trace import FolioStep, PageCopied

#: Functions of the kernel that handle one folio, with what they do. Kernel: mm/hugetlb_vmemmap.c, v6.12.
FOLIO_FUNCTIONS: Final = {
    "__hugetlb_vmemmap_optimize_folio": "optimize",
    "__hugetlb_vmemmap_restore_folio": "restore",
}
#: Functions that copy: a page, or as many bytes as the third argument says.
COPY_FUNCTIONS: Final = ("copy_page", "__memcpy")


class FolioTracer:
    """Hears that a function was entered, and tells listeners; does nothing where nobody listens."""

    def __init__(self, machine: Machine, cpu: Cpu) -> None:
        self._machine = machine
        self._cpu = cpu
        layout = machine.struct_pages.layout
        self._private, self._bit = layout.private, layout.hpg_vmemmap_optimized
        self._page_size = machine.target.mode.page_size
        self._current: tuple[str, int] | None = None

    def _optimized(self, folio: int) -> bool:
        return bool(self._cpu.load_word(folio + self._private) >> self._bit & 1)

    def folio(self, what: str, folio: int) -> None:
        """HVO turns to a folio."""
        self.done()
        trace = self._machine.trace
        if not trace.listeners:
            return
        optimized = self._optimized(folio)
        if optimized is (what == "restore") and (optimized or self._machine.optimize_enabled):
            self._current = (what, folio)
            trace.emit(FolioStep(f"{what}.begin", folio))

    def done(self) -> None:
        """HVO has done with the folio that it turned to last."""
        if self._current is None:
            return
        (what, folio), self._current = self._current, None
        failed = self._optimized(folio) is (what == "restore")
        self._machine.trace.emit(FolioStep(f"{what}.end", folio, -ENOMEM if failed else 0))

    def copied(self, to: int, source: int, size: int) -> None:
        """Bytes are copied."""
        if self._machine.trace.listeners and size == self._page_size:
            self._machine.trace.emit(PageCopied(0, to, source))
