# SPDX-License-Identifier: GPL-2.0-only
"""Interface of a CPU, through which HVO does everything that it does to memory and translation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


class Cpu(Protocol):
    """One CPU with a TLB of its own: the operations that every kind of CPU has.

    Bulk operations are optional: see :class:`hvolab.machine.cpus.bulk.BulkCpu`.
    A stale translation may survive until it is flushed, and never after. An access that the MMU refuses raises
    :class:`hvolab.arch.PageFault`. Page tables are read and written through the direct map. VAs of words and of pages
    are aligned; for others a modeled CPU raises UsageError, an emulated one does what its instructions do, and a
    compare-and-swap faults on both where ``MmuRules.aligned_atomics`` says so.

    index  number of the CPU in its machine
    """

    index: int

    def load(self, va: int, size: int) -> bytes:
        """Return the bytes ``[va, va + size)``; the range may cross pages."""

    def store(self, va: int, data: bytes) -> None:
        """Store ``data`` at ``va``; the range may cross pages, and nothing is stored where any page faults."""

    def load_word(self, va: int) -> int:
        """Return the aligned eight bytes at ``va`` as an integer in the machine's byte order."""

    def store_word(self, va: int, value: int) -> None:
        """Store eight bytes at ``va``, which is aligned."""

    def compare_and_swap(self, va: int, old: int, new: int) -> int:
        """Store ``new`` at ``va`` if the word there is ``old``; return the word found."""

    def fetch(self, va: int) -> None:
        """Attempt an instruction fetch at ``va`` without executing."""

    def copy_page(self, to_va: int, from_va: int) -> None:
        """Copy one page of memory, as the kernel's function of each architecture does."""

    def read_entry(self, slot_va: int) -> int:
        """Return one page-table entry. Kernel: ptep_get(), in the byte order that the MMU has for entries."""

    def write_entry(self, slot_va: int, raw: int) -> None:
        """Store one page-table entry. Kernel: set_pte()."""

    def exchange_entry(self, slot_va: int, old: int, new: int) -> int:
        """Replace an entry by compare-and-swap; return the entry found."""

    def flush_range(self, start: int, end: int) -> None:
        """Remove the translations of ``[start, end)`` from this CPU's TLB."""

    def flush_all(self) -> None:
        """Remove every translation from this CPU's TLB."""

    def barrier(self, kind: str) -> None:
        """Issue a barrier: ``smp_wmb``, or the one for the table walker or the instruction stream."""

    def cached_translations(self) -> npt.NDArray[np.uint64] | None:
        """Return the contents of the TLB as rows of first VA, first PFN and number of pages, shape (n, 3).

        ``None`` where the CPU cannot report them.
        """


@runtime_checkable
class StepCpu(Cpu, Protocol):
    """A CPU that executes an architecture's own instruction sequences, and whose registers can be read in between."""

    def carry_out(self, step: str, inputs: Mapping[str, int]) -> Mapping[str, int]:
        """Execute the sequence of a step; return its outputs. Inputs and outputs have the names in its contract."""

    def registers(self) -> Mapping[str, int]:
        """Return the general registers by the names that sequences have for them."""
