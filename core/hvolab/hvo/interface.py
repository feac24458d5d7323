# SPDX-License-Identifier: GPL-2.0-only
"""Interface of an HVO engine: the model, or a kernel's own code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from hvolab.hvo.sizes import HasOrder, VmemmapSizes
from hvolab.machine import Cpu, Machine
from hvolab.release import KernelRelease, StructPageLayout


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


@dataclass(frozen=True)
class EngineSetup:
    """Engine that is selected before its machine is built, and what the machine must be for it.

    make          makes the engine on the machine
    architecture  architecture and paging mode where the user names none; None: the defaults
    mode          a mode of that architecture
    release       kernel release of the machine; None: the user's choice
    layout        struct page; None: as the release has it
    notes         sentences for the report, such as the reason for the release
    patience      seconds that it may run without a change of the machine; 0: any time
    """

    make: Callable[[Machine], HvoEngine]
    architecture: str | None = None
    mode: str | None = None
    release: KernelRelease | None = None
    layout: StructPageLayout | None = None
    notes: tuple[str, ...] = ()
    patience: float = 0


@runtime_checkable
class ImageEngineMaker(Protocol):
    """Maker of an engine whose machine depends on the kernel image. A maker without `setup()` takes any machine."""

    def __call__(self, machine: Machine, image: Path | None) -> HvoEngine:
        """Return an engine on a machine, as any `EngineMaker` does."""
        ...

    def setup(self, image: Path | None, release: str | None) -> EngineSetup:
        """Return the engine of an image and its requirements.

        release  the release that the user names; UsageError is raised if it contradicts the image
        """
        ...
