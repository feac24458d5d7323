"""Finding in a scanned vmemmap, and the invariant that it breaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from hvolab.hvo import HvoVariant
from hvolab.invariants import INVARIANTS, Invariant
from hvolab.serialize import Hex

#: Findings of one kind that are listed; a garbled core can have millions.
LARGEST_LIST: Final = 200
#: Kinds of findings, by stable name, with the name of the invariant that each breaks; None: the entry itself is wrong.
KINDS: Final = {
    "illegal-entry": None,
    "large-leaf": None,
    "bit-without-remap": "remapped",
    "remap-without-bit": "remapped",
    "wrong-order": "content",
    "read-only-head": "remapped",
    "wrong-pgprot": "remapped",
    "unmapped-tail": "remapped",
    "foreign-frame": "remapped",
    "writable-tail": "stores",
    "two-owners": "ownership",
}
_INVARIANTS: Final = {invariant.name: invariant for invariant in INVARIANTS}


def invariant_of(kind: str, variant: HvoVariant) -> Invariant | None:
    """Return the invariant that a finding breaks, None where it breaks none that applies to the HVO variant."""
    invariant = _INVARIANTS.get(KINDS[kind] or "")
    return invariant if invariant is not None and invariant.applies_to(variant) else None


@dataclass(frozen=True)
class CoreFinding:
    """One problem in the vmemmap.

    kind       one of KINDS
    text       what is wrong
    va         VA that the entry maps, the first if ``pages`` is more than one
    pages      consecutive pages of vmemmap with the same entry
    entry      the entry, in hex and decoded
    pfn        frame that it maps, None if it maps none
    folio      PFN of the huge page, None outside of any
    declared   the description of the architecture predicts it
    invariant  the invariant that it breaks, None if the entry itself is wrong
    """

    also_in_data: ClassVar = ("rule", "number")
    kind: str
    text: str
    va: Hex
    pages: int
    entry: str
    pfn: Hex | None
    folio: Hex | None
    declared: bool = False
    invariant: Invariant | None = field(default=None, metadata={"data": None})

    @property
    def rule(self) -> str | None:
        """Name of the invariant, None without one."""
        return None if self.invariant is None else self.invariant.name

    @property
    def number(self) -> int | None:
        """Number of the invariant, None without one."""
        return None if self.invariant is None else self.invariant.number
