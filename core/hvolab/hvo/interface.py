# SPDX-License-Identifier: GPL-2.0-only
"""Interface of an HVO engine: the model, or a kernel's own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from hvolab.hvo.sizes import HasOrder, VmemmapSizes
from hvolab.machine import Cpu, Machine
from hvolab.release import KernelRelease


class VmemmapOptimizer(Protocol):
    """The functions of HVO that a pool calls. A folio is the VA of its head struct page, as in the kernel."""

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


class HvoEngine(VmemmapOptimizer, Protocol):
    """HVO on one machine.

    machine  the machine
    cpu      the CPU that reads folios
    release  release whose code it is, or does the same as
    """

    machine: Machine
    cpu: Cpu
    release: KernelRelease

    def sizes(self, h: HasOrder) -> VmemmapSizes:
        """Return the sizes of the vmemmap of ``h``'s folios."""
        ...

    def folio_optimized(self, folio: int) -> bool:
        """Return whether a folio is optimized. Kernel: folio_test_hugetlb_vmemmap_optimized()."""
        ...


#: Maker of an engine for a machine, from the kernel image at a path: one for each kind of engine.
EngineMaker = Callable[[Machine, Path | None], HvoEngine]
