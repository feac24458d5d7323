"""What a scenario asks of who optimizes: the methods of the engine, which a kernel's own code may have as well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from hvolab.hvo.sizes import HasOrder, VmemmapSizes
from hvolab.hvo.variants import HvoVariant
from hvolab.machine import Cpu, Machine


class HvoEngine(Protocol):
    """HVO on one machine. A folio is the VA of its head struct page, as in the kernel.

    machine  the machine
    cpu      the CPU through which folios are looked at
    variant  which kernel's code it is, where that differs between releases
    """

    machine: Machine
    cpu: Cpu
    variant: HvoVariant

    def sizes(self, h: HasOrder) -> VmemmapSizes:
        """The sizes of the vmemmap of ``h``'s folios."""
        ...

    def folio_optimized(self, folio: int) -> bool:
        """Kernel: folio_test_hugetlb_vmemmap_optimized()."""
        ...

    def optimize_folio(self, h: HasOrder, folio: int) -> None:
        """Kernel: hugetlb_vmemmap_optimize_folio()."""
        ...

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        """Kernel: hugetlb_vmemmap_optimize_folios()."""
        ...

    def restore_folio(self, h: HasOrder, folio: int) -> int:
        """Kernel: hugetlb_vmemmap_restore_folio()."""
        ...

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        """Kernel: hugetlb_vmemmap_restore_folios()."""
        ...


#: Makes an engine for a machine, of the kernel image at a path: what a kind of engine is, for who builds machines.
EngineMaker = Callable[[Machine, Path | None], HvoEngine]
