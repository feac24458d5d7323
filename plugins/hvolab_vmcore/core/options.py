"""What a user may say about a core instead of what the core says itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SnapshotOptions:
    """What to take instead of what the core says; ``None`` and empty: what the core says.

    arch, mode           names
    root                 PA of the root table
    vmemmap              VA of the struct page of PFN 0
    features             names; with any given, none is found out
    profile, release  names
    """

    arch: str | None = None
    mode: str | None = None
    root: int | None = None
    vmemmap: int | None = None
    features: tuple[str, ...] = ()
    profile: str | None = None
    release: str | None = None
