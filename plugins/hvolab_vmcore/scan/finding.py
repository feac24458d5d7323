"""One thing in a scanned vmemmap that should not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Findings of one kind that are told one by one; a garbled core can have millions.
LARGEST_LIST = 200


@dataclass(frozen=True)
class CoreFinding:
    """One thing that should not be.

    kind      stable name
    text      what is wrong
    va        VA that the entry maps, the first where ``pages`` is more than one
    pages     consecutive pages of vmemmap with the same entry
    entry     the entry, in hex and decoded
    pfn       frame that it maps, None where it maps none
    folio     PFN of the huge page, None outside of any
    declared  the description of the architecture predicts it
    """

    kind: str
    text: str
    va: int
    pages: int
    entry: str
    pfn: int | None
    folio: int | None
    declared: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The finding for JSON: VAs and PFNs in hex."""
        return {
            "kind": self.kind,
            "text": self.text,
            "va": hex(self.va),
            "pages": self.pages,
            "entry": self.entry,
            "pfn": None if self.pfn is None else hex(self.pfn),
            "folio": None if self.folio is None else hex(self.folio),
            "declared": self.declared,
        }
