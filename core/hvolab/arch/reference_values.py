"""Known facts about an architecture, from manuals and running kernels, against which a description can be held.

What a description says may agree with itself and still be wrong, such as a field that is off by one everywhere. These
are the anchors: written out in full, never computed from the description.
"""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.arch.entry import EntryKind
from hvolab.arch.pgprot import PgprotRole


@dataclass(frozen=True)
class Example:
    """An entry that is known to be right, or known to be illegal.

    mode        paging mode that it was seen in; it speaks for every mode whose pages have the same form
    level       name of the level that it stands at
    raw         the entry in memory
    kind        what it is to a walk
    pfn         output PFN in units of the base page; ``None`` where there is none
    role        the protection that it has, where HVO uses one that is exactly that
    profile, release, features  what it was seen under; ``None``: the default
    source      where it is from: a kernel's memory, or a section of a manual
    """

    mode: str
    level: str
    raw: int
    kind: EntryKind
    pfn: int | None = None
    role: PgprotRole | None = None
    profile: str | None = None
    release: str | None = None
    features: tuple[str, ...] = ()
    source: str = ""

    def __str__(self) -> str:
        return f"{self.raw:#018x} at {self.level} of {self.mode}, from {self.source or 'nowhere that is told'}"


@dataclass(frozen=True)
class ModeFigures:
    """What is known of a paging mode.

    mode             its name
    direct_map_base  VA of the direct map
    vmemmap_base     VA of the vmemmap
    huge_pages       (bytes, frames that HVO saves) of each huge page size, ascending
    source           manual or kernel document
    features         what the figures are known with
    """

    mode: str
    direct_map_base: int
    vmemmap_base: int
    huge_pages: tuple[tuple[int, int], ...]
    source: str = ""
    features: tuple[str, ...] = ()
