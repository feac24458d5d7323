"""Stores to the tails of an optimized folio: which fault, and where the others land."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hvolab.arch import PageFault
from hvolab.invariants import Finding
from hvolab.invariants.rules import stores
from hvolab.machine import Machine
from hvolab.machine.struct_pages.layout import WORD
from hvolab.trace import Stored

#: Tail pages of a folio that are tried at most, spread evenly, the first and the last among them.
_TRIED = 16
_ALL_ONES = (1 << 64) - 1


@dataclass(frozen=True)
class StoreHit:
    """A store that reached memory.

    va      where it was made
    pfn     frame that it reached
    mapped  frame that the tables map ``va`` to; another one where a stale translation was used
    """

    va: int
    pfn: int
    mapped: int | None

    @property
    def stale(self) -> bool:
        """Whether the tables no longer led there."""
        return self.pfn != self.mapped

    def as_dict(self) -> dict[str, Any]:
        """The landing for JSON."""
        return {"va": f"{self.va:#x}", "pfn": f"{self.pfn:#x}", "stale": self.stale}


@dataclass(frozen=True)
class TailStores:
    """What stores to the tail pages of one folio did.

    size        bytes of the folio
    folio       VA of its head struct page
    tail_pages  tail pages of its vmemmap
    tried       pages to which a store was tried, one each
    faulted     how many of the stores faulted
    fault       the first fault, as the CPU reports it; empty where none faulted
    landed      the stores that reached memory
    at_head     whether the head's own struct page was seen to change
    """

    size: int
    folio: int
    tail_pages: int
    tried: int
    faulted: int
    fault: str
    landed: tuple[StoreHit, ...]
    at_head: bool

    @property
    def frames(self) -> tuple[int, ...]:
        """PFNs that stores reached, each once, in the order in which they were reached."""
        return tuple(dict.fromkeys(landing.pfn for landing in self.landed))

    def as_dict(self) -> dict[str, Any]:
        """The stores for JSON."""
        return {
            "size": self.size,
            "folio": f"{self.folio:#x}",
            "tail_pages": self.tail_pages,
            "tried": self.tried,
            "faulted": self.faulted,
            "fault": self.fault,
            "landed": [landing.as_dict() for landing in self.landed],
            "seen_at_head": self.at_head,
        }

    def findings(self, *, declared: bool) -> list[Finding]:
        """The findings that stores landed, if they did.

        declared  the description says that tails can be written to; a stale translation it never foretells
        """
        head = ", and the head's struct page changed with it" if self.at_head else ""
        shared = [landing for landing in self.landed if not landing.stale]
        stale = [landing for landing in self.landed if landing.stale]
        return [
            Finding(
                stores.INVARIANT,
                f"{len(found)} of {self.tried} stores to tails of an optimized folio reached {what}",
                f"VA {found[0].va:#x}, PFN {found[0].pfn:#x}",
                foretold,
            )
            for found, what, foretold in (
                (shared, f"the frame they share{head}", declared),
                (stale, "frames that no table maps there any more, through stale translations", False),
            )
            if found
        ]


def store_to_tails(machine: Machine, folio: int, size: int, pages: int) -> TailStores:
    """Store a word to tail pages of an optimized folio on the first CPU, and put back what landed.

    folio  VA of the head struct page
    size   bytes of the folio
    pages  pages of its vmemmap
    """
    mode, cpu = machine.target.mode, machine.cpus[0]
    word = machine.struct_pages.layout.size - WORD
    tails = _spread(pages - 1)
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
    faulted = len(tails) - len(landed)
    return TailStores(size, folio, pages - 1, len(tails), faulted, fault, tuple(landed), at_head)


def _spread(count: int) -> list[int]:
    """Numbers from 1 to ``count``: all, or as many as are tried, spread evenly."""
    if count <= _TRIED:
        return list(range(1, count + 1))
    return [1 + number * (count - 1) // (_TRIED - 1) for number in range(_TRIED)]
