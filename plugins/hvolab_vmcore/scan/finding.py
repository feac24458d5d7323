# SPDX-License-Identifier: GPL-2.0-only
"""Finding in a scanned vmemmap, and the invariant that it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab.release import HvoVariant
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
    "stale-head": "content",
}


def broken_invariant(kind: str, variant: HvoVariant) -> tuple[str | None, int | None]:
    """Return name and number of the invariant that a finding breaks, if one that applies to the HVO variant."""
    from hvolab.invariants import INVARIANTS  # noqa: PLC0415 - takes longer than to find nothing

    found = (one for one in INVARIANTS if one.name == KINDS[kind] and one.applies_to(variant))
    return next(((one.name, one.number) for one in found), (None, None))


@dataclass(frozen=True)
class CoreFinding:
    """One problem in the vmemmap.

    kind          one of KINDS
    text          what is wrong
    va            VA that the entry maps, the first if ``pages`` is more than one
    pages         consecutive pages of vmemmap with the same entry
    entry         the entry, in hex and decoded
    pfn           frame that it maps, None if it maps none
    folio         PFN of the huge page, None outside of any
    declared      the description of the architecture predicts it
    rule, number  name and number of the invariant that it breaks, None if the entry itself is wrong
    """

    kind: str
    text: str
    va: Hex
    pages: int
    entry: str
    pfn: Hex | None
    folio: Hex | None
    declared: bool = False
    rule: str | None = None
    number: int | None = None
