"""Stores to the tails of an optimised folio: which fault, and where the others land."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hvolab.arch import PageFault
from hvolab.invariants import Finding, Rule
from hvolab.machine import Machine
from hvolab.machine.structpage import WORD

#: Tail pages of a folio that are tried at most, spread evenly, the first and the last among them.
_TRIED = 16
_ALL_ONES = (1 << 64) - 1


@dataclass(frozen=True)
class TailStores:
    """What stores to the tail pages of one folio did.

    size        bytes of the folio
    folio       VA of its head struct page
    tail_pages  tail pages of its vmemmap
    tried       pages to which a store was tried, one each
    faulted     how many of the stores faulted
    fault       the first fault, as the CPU reports it; empty where none faulted
    landed      VAs that a store reached memory through
    frame       PFN that they reached; ``None`` where none did
    at_head     whether the head's own struct page was seen to change
    """

    size: int
    folio: int
    tail_pages: int
    tried: int
    faulted: int
    fault: str
    landed: tuple[int, ...]
    frame: int | None
    at_head: bool

    def as_dict(self) -> dict[str, Any]:
        """The stores for JSON."""
        return {
            "size": self.size,
            "folio": f"{self.folio:#x}",
            "tail_pages": self.tail_pages,
            "tried": self.tried,
            "faulted": self.faulted,
            "fault": self.fault,
            "landed": [f"{va:#x}" for va in self.landed],
            "pfn": None if self.frame is None else f"{self.frame:#x}",
            "seen_at_head": self.at_head,
        }

    def findings(self, *, declared: bool) -> list[Finding]:
        """The finding that stores landed, if they did; ``declared``: the description says that they do."""
        if not self.landed or self.frame is None:
            return []
        seen = ", and the head's struct page changed with it" if self.at_head else ""
        what = f"{len(self.landed)} of {self.tried} stores to tails of an optimised folio reached the frame they share"
        what += seen
        return [Finding(Rule.STORES, what, f"VA {self.landed[0]:#x}, PFN {self.frame:#x}", declared)]


def store_to_tails(machine: Machine, folio: int, size: int, pages: int) -> TailStores:
    """Store a word to tail pages of an optimised folio on the first CPU, and put back what landed.

    folio  VA of the head struct page
    size   bytes of the folio
    pages  pages of its vmemmap
    """
    cpu, page_size = machine.cpus[0], machine.target.mode.page_size
    word = machine.struct_pages.layout.size - WORD
    tails = _spread(pages - 1)
    landed: list[int] = []
    fault, at_head = "", False
    for tail in tails:
        va = folio + tail * page_size + word
        before, head = cpu.load_word(va), cpu.load_word(folio + word)
        try:
            cpu.store_word(va, before ^ _ALL_ONES)
        except PageFault as error:
            fault = fault or str(error.fault)
            continue
        at_head |= cpu.load_word(folio + word) != head
        cpu.store_word(va, before)
        landed.append(va)
    frame = machine.tables.frame_of(landed[0]) if landed else None
    return TailStores(
        size, folio, pages - 1, len(tails), len(tails) - len(landed), fault, tuple(landed), frame, at_head
    )


def _spread(count: int) -> list[int]:
    """Numbers from 1 to ``count``: all, or as many as are tried, spread evenly."""
    if count <= _TRIED:
        return list(range(1, count + 1))
    return [1 + number * (count - 1) // (_TRIED - 1) for number in range(_TRIED)]
