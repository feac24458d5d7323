# SPDX-License-Identifier: GPL-2.0-only
"""Stores to the tails of an optimized folio: faults, and the frames that the others reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from hvolab.arch import PageFault
from hvolab.arithmetic import WORD_BYTES
from hvolab.invariants import Finding
from hvolab.invariants.rules.stores import STORES
from hvolab.machine import Machine
from hvolab.serialize import Hex
from hvolab.trace import Stored

#: Most tail pages of a folio that are tried, spread evenly, the first and the last among them.
_TRIED = 16
_ALL_ONES = (1 << 64) - 1


@dataclass(frozen=True)
class StoreHit:
    """A store that reached memory.

    va      its VA
    pfn     frame that it reached
    mapped  frame that the tables map ``va`` to; another one if a stale translation was used
    """

    also_in_data: ClassVar = ("stale",)
    va: Hex
    pfn: Hex
    mapped: int | None = field(metadata={"data": None})

    @property
    def stale(self) -> bool:
        """True if the tables no longer map its VA to the frame."""
        return self.pfn != self.mapped


@dataclass(frozen=True)
class TailStores:
    """Stores to the tail pages of one folio.

    size        bytes of the folio
    folio       VA of its head struct page
    tail_pages  tail pages of its vmemmap
    tried       number of stores, one to each of so many pages
    faulted     number of stores that faulted
    fault       the first fault, as the CPU reports it; empty if none faulted
    landed      the stores that reached memory
    at_head     whether the head's own struct page changed
    """

    size: int
    folio: Hex
    tail_pages: int
    tried: int
    faulted: int
    fault: str
    landed: tuple[StoreHit, ...]
    at_head: bool = field(metadata={"data": "seen_at_head"})

    @property
    def frames(self) -> tuple[int, ...]:
        """PFNs that stores reached, each once, in order."""
        return tuple(dict.fromkeys(hit.pfn for hit in self.landed))

    def findings(self, *, declared: bool) -> list[Finding]:
        """Return findings for the stores that reached memory.

        declared  the description says that tails are writable; it never predicts a stale translation
        """
        head = ", and the head's struct page changed with it" if self.at_head else ""
        kinds = (
            (False, f"the frame they share{head}"),
            (True, "frames that no table maps there any more, through stale translations"),
        )
        findings = []
        for stale, frames in kinds:
            if hits := [hit for hit in self.landed if hit.stale is stale]:
                what = f"{len(hits)} of {self.tried} stores to tails of an optimized folio reached {frames}"
                where = f"VA {hits[0].va:#x}, PFN {hits[0].pfn:#x}"
                findings.append(Finding(STORES, what, where, declared and not stale))
        return findings


def store_to_tails(machine: Machine, folio: int, size: int, pages: int) -> TailStores:
    """Store a word to tail pages of an optimized folio on the first CPU, and undo the stores that reached memory.

    folio  VA of the head struct page
    size   bytes of the folio
    pages  pages of its vmemmap
    """
    mode, cpu = machine.target.mode, machine.cpus[0]
    word = machine.struct_pages.layout.size - WORD_BYTES
    tried = min(pages - 1, _TRIED)
    tails = [1 + number * (pages - 2) // max(1, tried - 1) for number in range(tried)]
    landed: list[StoreHit] = []
    fault, at_head = "", False
    for tail in tails:
        va = folio + tail * mode.page_size + word
        before, head = cpu.load_word(va), cpu.load_word(folio + word)
        try:
            with machine.trace.record() as events:
                cpu.store_word(va, before ^ _ALL_ONES)
        except PageFault as error:
            fault = fault or str(error.fault)
            continue
        at_head |= cpu.load_word(folio + word) != head
        cpu.store_word(va, before)
        reached = next(event.pa for event in events if isinstance(event, Stored)) >> mode.page_shift
        landed.append(StoreHit(va, reached, machine.tables.frame_of(va)))
    return TailStores(size, folio, pages - 1, tried, tried - len(landed), fault, tuple(landed), at_head)
