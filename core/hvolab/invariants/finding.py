"""What an invariant says when it breaks, and the twelve rules by name."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Rule(enum.IntEnum):
    """The invariants, numbered as the design numbers them."""

    REMAPPED = 1
    STATIC_KEY = 2
    COUNTERS = 3
    OWNERSHIP = 4
    CONTENT = 5
    STORES = 6
    POOL = 7
    SPLITS = 8
    SELF_HOSTED = 9
    TERMINATION = 10
    FLUSHES = 11
    LIVE_ENTRIES = 12

    @property
    def text(self) -> str:
        """The rule in a sentence."""
        return _TEXTS[self]


_TEXTS = {
    Rule.REMAPPED: "optimized if and only if every tail entry points read-only at the head's frame, the head entry RW",
    Rule.STATIC_KEY: "the static key is the number of optimized folios",
    Rule.COUNTERS: "nr_memmap_pages + nr_memmap_boot_pages is the number of frames that back the vmemmap",
    Rule.OWNERSHIP: "every frame has exactly one owner; a free frame has no entry and no TLB entry on any CPU",
    Rule.CONTENT: "each struct page equals its model, and the head's content is untouched",
    Rule.STORES: "no store to a tail while optimized, none to the head page between its copy and the flush",
    Rule.POOL: "persistent + surplus = nr_hugepages, and every folio of the pool is accounted for",
    Rule.SPLITS: "one split per PMD, one page-table page per split, each buddy block split once, reserved pages never",
    Rule.SELF_HOSTED: "self-hosted vmemmap is never freed",
    Rule.TERMINATION: "every loop ends with an allocator that always fails",
    Rule.FLUSHES: "at most one grace period and a constant number of full flushes per batch",
    Rule.LIVE_ENTRIES: "live entries are replaced only as the architecture's rule allows",
}


@dataclass(frozen=True)
class Finding:
    """Something that breaks an invariant.

    rule      which one
    what      what is wrong, in a sentence
    where     folio, VA, entry raw and decoded, PFN
    declared  whether the architecture's description says that it is so
    since     number of the event after which it was seen, where a listener saw it
    """

    rule: Rule
    what: str
    where: str = ""
    declared: bool = False
    since: int | None = None

    def __str__(self) -> str:
        parts = [f"invariant {self.rule.value} ({self.rule.name.lower()}): {self.what}"]
        parts += [self.where] if self.where else []
        parts += ["declared"] if self.declared else []
        parts += [f"seen after event {self.since}"] if self.since is not None else []
        return "; ".join(parts)

    def as_dict(self) -> dict[str, object]:
        """For JSON output."""
        return {
            "rule": self.rule.name.lower(),
            "number": self.rule.value,
            "what": self.what,
            "where": self.where,
            "declared": self.declared,
        }
