# SPDX-License-Identifier: GPL-2.0-only
"""Reference values of an architecture from manuals and running kernels, to test a description against.

A description can agree with itself and still be wrong, such as a field that is off by one everywhere. Reference values
are written out in full, never computed from the description.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hvolab.arch.entry import EntryKind
from hvolab.arch.pgprot import PgprotRole


@dataclass(frozen=True)
class Example:
    """An entry that is known to be right, or known to be illegal.

    mode    paging mode; the example counts for every mode whose pages have the same form
    level   name of its level
    raw     the entry, or its bytes in memory, the one at the lowest address first: bytes prove the byte
            order of entries, a number does not
    kind    its meaning to a walk
    pfn     output PFN in units of the base page; ``None`` if there is none
    role    its protection, if HVO uses exactly that one
    profile, release, features  the selection; ``None``: the default
    source  its origin: a kernel's memory, or a section of a manual
    """

    mode: str
    level: str
    raw: int | bytes
    kind: EntryKind
    pfn: int | None = None
    role: PgprotRole | None = None
    profile: str | None = None
    release: str | None = None
    features: tuple[str, ...] = ()
    source: str = ""

    def entry(self, byte_order: Literal["little", "big"]) -> int:
        """Return the entry, of bytes that are in this byte order."""
        return self.raw if isinstance(self.raw, int) else int.from_bytes(self.raw, byte_order)

    def __str__(self) -> str:
        shown = f"{self.raw:#018x}" if isinstance(self.raw, int) else f"bytes {self.raw.hex(' ')}"
        return f"{shown} at {self.level} of {self.mode}, from {self.source or 'an undeclared source'}"


@dataclass(frozen=True)
class ModeFigures:
    """Known figures of a paging mode.

    mode             its name
    direct_map_base  VA of the direct map
    vmemmap_base     VA of the vmemmap
    huge_pages       (bytes, frames that HVO saves) of each huge page size, ascending
    source           manual or kernel document
    features         features with which the figures hold
    """

    mode: str
    direct_map_base: int
    vmemmap_base: int
    huge_pages: tuple[tuple[int, int], ...]
    source: str = ""
    features: tuple[str, ...] = ()
