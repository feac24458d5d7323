# SPDX-License-Identifier: GPL-2.0-only
"""Result of a scenario: what rules find, and a digest of what the machine does and ends as."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from hvolab.hugetlb import Pool
from hvolab.invariants import survey
from hvolab.trace import (
    AllFlushed,
    Barrier,
    Batch,
    EntryLost,
    FolioStep,
    GracePeriod,
    PagesFreed,
    PageSplit,
    RangeFlushed,
)

MIB = 1 << 20
#: Events whose fields are compared.
LOGGED = (AllFlushed, Barrier, Batch, EntryLost, FolioStep, GracePeriod, PagesFreed, PageSplit, RangeFlushed)


@dataclass
class Outcome:
    """Result of a scenario: findings that nothing declares, and a digest of the machine."""

    findings: list[str] = field(default_factory=list)
    faults: set[str] = field(default_factory=set)
    digest: int = 0

    def add(self, *values: object) -> None:
        """Add values to the digest."""
        self.digest = zlib.crc32(repr(values).encode(), self.digest)


def state(pools: tuple[Pool, ...]) -> object:
    """Return what a machine and its pools are, as values to compare."""
    seen = survey(pools[0].machine, pools)
    memory = seen.machine.memory
    words = memory.pages[seen.backing - memory.first_pfn]
    return (
        zlib.crc32(words.tobytes()),
        zlib.crc32(seen.frames.tobytes()),
        zlib.crc32(seen.raws.tobytes()),
        seen.machine.key,
        seen.machine.counters,
        seen.machine.grace_periods,
        [(pool.h, list(pool.free_folios()), sorted(pool.live)) for pool in pools],
    )
