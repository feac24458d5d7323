"""The CPU as the seam: everything that HVO does to memory or translation goes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from hvolab.machine.machine import Machine

Entries = npt.NDArray[np.uint64]
Vas = npt.NDArray[np.uint64]
Words = npt.NDArray[np.uint64]


class Cpu(Protocol):
    """One CPU with a TLB of its own.

    A stale translation may survive until it is flushed, and never after. An access that the MMU refuses raises
    :class:`hvolab.arch.PageFault`. Where an access of a run is refused, it is not said which of the others are made: a
    CPU that carries them out one by one has made those before it. VAs of page-table slots are those of the direct map.

    index  number of the CPU in its machine
    """

    index: int

    def load(self, va: int, size: int) -> bytes:
        """The bytes ``[va, va + size)``; may cross pages."""
        ...

    def store(self, va: int, data: bytes) -> None:
        """Store ``data`` at ``va``; may cross pages, and then nothing is stored where any page faults."""
        ...

    def load_word(self, va: int) -> int:
        """The eight bytes at ``va``, which is aligned, as an integer in the machine's byte order."""
        ...

    def store_word(self, va: int, value: int) -> None:
        """Store eight bytes at ``va``, which is aligned."""
        ...

    def load_words(self, vas: Vas) -> Words:
        """The eight bytes at each of ``vas``."""
        ...

    def load_chain(self, va: int, end: int) -> Words:
        """The links of a chain: the word at ``va``, the word where that points, and so on, up to one that is ``end``.

        ``end`` itself is left out. Raises HvolabError for a chain that comes back to a link of its own instead.
        """
        ...

    def store_words(self, vas: Vas, values: Words) -> None:
        """Store eight bytes at each of ``vas``."""
        ...

    def compare_and_swap(self, va: int, old: int, new: int) -> int:
        """Store ``new`` at ``va`` if ``old`` is there; give what was there."""
        ...

    def fetch(self, va: int) -> None:
        """Go to ``va`` to execute what stands there, and execute nothing."""
        ...

    def copy_page(self, to_va: int, from_va: int) -> None:
        """Copy one page.

        Kernel: copy_page(), each architecture's own.
        """
        ...

    def copy(self, to_va: int, from_va: int, size: int) -> None:
        """Copy ``size`` bytes, neither range crossing a page. Kernel: memcpy()."""
        ...

    def copy_page_run(self, to_vas: Sequence[int], from_va: int) -> None:
        """Copy one page to each of several, in this order."""
        ...

    def copy_run(self, pages: Sequence[int], offset: int, size: int) -> None:
        """Copy to the start of each page, given by its VA, the ``size`` bytes that stand at ``offset`` in it."""
        ...

    def copy_pages(self, to_vas: Vas, from_vas: Vas) -> None:
        """Copy one page for each pair of VAs."""
        ...

    def copy_runs(self, to_vas: Vas, from_vas: Vas, size: int) -> None:
        """Copy ``size`` bytes, whole words, for each pair of VAs; none of the ranges crosses a page."""
        ...

    def write_entry(self, slot_va: int, raw: int) -> None:
        """Store one page-table entry. Kernel: set_pte()."""
        ...

    def write_entries(self, slot_va: int, raws: Entries) -> None:
        """Store a run of page-table entries, in order of VA."""
        ...

    def write_entry_rows(self, slot_vas: Vas, rows: Entries) -> None:
        """Store a run of entries at each of ``slot_vas``; ``rows`` has one row of entries for each."""
        ...

    def exchange_entry(self, slot_va: int, old: int, new: int) -> int:
        """Replace an entry by compare-and-swap; give what was there."""
        ...

    def flush_range(self, start: int, end: int) -> None:
        """Forget the translations of ``[start, end)`` on this CPU."""
        ...

    def flush_all(self) -> None:
        """Forget every translation on this CPU."""
        ...

    def barrier(self, kind: str) -> None:
        """What the architecture has for ``smp_wmb``, the walker's barrier and the instruction barrier."""
        ...

    def cached_translations(self) -> npt.NDArray[np.uint64] | None:
        """What the TLB holds: rows of first VA, first PFN and number of pages, shape (n, 3).

        ``None`` where the CPU cannot tell.
        """
        ...


@runtime_checkable
class StepCpu(Cpu, Protocol):
    """A CPU that carries out an architecture's own instruction sequences, and can be looked at in between."""

    def carry_out(self, step: str, inputs: Mapping[str, int]) -> Mapping[str, int]:
        """Carry out the sequence of a step with these inputs; its outputs. Both by the names in the step's contract."""
        ...

    def registers(self) -> Mapping[str, int]:
        """The general registers as they are, by the names that sequences have for them."""
        ...


#: Makes the CPU of that number for a machine: what a kind of CPU is, for who builds machines.
CpuMaker = Callable[["Machine", int], Cpu]


def use_cpus(machine: Machine, make: CpuMaker) -> None:
    """Replace every CPU of ``machine`` by one that ``make`` makes, keeping their numbers.

    Translations that the old ones cached are gone with them. Who holds a CPU of the machine, as Hvo does, still has
    the old one: replace them first.
    """
    machine.cpus[:] = [make(machine, cpu.index) for cpu in machine.cpus]
