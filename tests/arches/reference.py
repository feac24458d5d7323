# SPDX-License-Identifier: GPL-2.0-only
"""Reference values of an architecture, held against its description."""

from __future__ import annotations

from collections.abc import Iterator

from hvolab.arch import Architecture, EntryKind, Example
from hvolab.errors import EncodingError


def disagreements(architecture: Architecture) -> Iterator[tuple[Example, str]]:
    """Yield every example that its own mode decodes into something else, with the result."""
    for example in architecture.examples:
        target = architecture.select(
            example.mode, profile=example.profile, release=example.release, features=example.features
        )
        try:
            entry = target.decode(example.level, example.entry(target.entry_byte_order))
            kind, pfn = entry.kind, entry.pfn
        except EncodingError:
            kind, pfn = EntryKind.ILLEGAL, None
        if (kind, pfn) != (example.kind, example.pfn):
            yield example, f"{kind.value} {pfn}"
        elif example.role is not None and kind is EntryKind.LEAF and pfn is not None:
            raw = target.leaf(example.level, pfn, example.role)
            if raw != example.entry(target.entry_byte_order):
                yield example, f"encoded as {raw:#x}"


def uncovered_modes(architecture: Architecture) -> list[str]:
    """Return the modes without figures."""
    known = {figures.mode for figures in architecture.figures}
    return [mode.name for mode in architecture.modes if mode.name not in known]
