"""Finding in a scanned vmemmap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab.serialize import Hex

#: Findings of one kind that are listed; a garbled core can have millions.
LARGEST_LIST: Final = 200


@dataclass(frozen=True)
class CoreFinding:
    """One problem in the vmemmap.

    kind      stable name
    text      what is wrong
    va        VA that the entry maps, the first if ``pages`` is more than one
    pages     consecutive pages of vmemmap with the same entry
    entry     the entry, in hex and decoded
    pfn       frame that it maps, None if it maps none
    folio     PFN of the huge page, None outside of any
    declared  the description of the architecture predicts it
    """

    kind: str
    text: str
    va: Hex
    pages: int
    entry: str
    pfn: Hex | None
    folio: Hex | None
    declared: bool = False
