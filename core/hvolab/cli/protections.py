# SPDX-License-Identifier: GPL-2.0-only
"""Declared protections that an entry has: exactly, under another profile or release, or nearly."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Final

from hvolab.arch import EntryForm, EntryKind, PgprotRole, Target
from hvolab.errors import EncodingError

#: Most fields that may differ from a protection that is reported as near.
_NEAR: Final = 2


@dataclass(frozen=True)
class NearProtection:
    """A protection that an entry nearly has; `differs`: (name, value in the protection) of each field that differs."""

    name: str
    differs: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(f'{field} is {value:#x}' for field, value in self.differs)} there)"


def first_level(target: Target, role: PgprotRole) -> str:
    """Return the name of the first level at which HVO uses the protection."""
    mode = target.mode
    if role is PgprotRole.TABLE:
        return mode.levels[-2].name
    if role is PgprotRole.KERNEL_LARGE:
        return mode.direct_map_level if mode.vmemmap_level == mode.last.name else mode.vmemmap_level
    return mode.last.name


def _declared(target: Target, form: EntryForm) -> list[tuple[str, int]]:
    """Return name and bits of each protection that an entry of this form can have."""
    found = []
    for role, pgprot in target.pgprots:
        if (role is PgprotRole.TABLE) is (form.kind is EntryKind.TABLE):
            with suppress(EncodingError):  # it has fields that the form does not have
                found.append((pgprot.name, target.bits_of(form, role)))
    return found


def exact_protections(target: Target, form: EntryForm, raw: int) -> tuple[str, ...]:
    """Return the names of the protections that an entry of that form has exactly."""
    own = raw & ~form.address_mask
    return tuple(dict.fromkeys(name for name, bits in _declared(target, form) if bits == own))


def protections_elsewhere(target: Target, form: EntryForm, raw: int) -> tuple[str, ...]:
    """Return the protections that the entry has under other profiles and releases of the architecture."""
    architecture = target.architecture
    found: dict[str, None] = {}
    for profile, release in product(architecture.profiles, architecture.releases):
        other = architecture.select(target.mode.name, profile=profile, release=release, features=target.features)
        words = [f"kernel {release}"] if release != target.release.name else []
        words += [f"profile {profile}"] if profile != target.profile else []
        found |= dict.fromkeys(f"{name} of {', '.join(words)}" for name in exact_protections(other, form, raw))
    shortest = min((name.count(",") for name in found), default=0)
    return tuple(name for name in found if name.count(",") == shortest)


def near_protections(target: Target, form: EntryForm, raw: int) -> tuple[NearProtection, ...]:
    """Return the declared protections that differ from the entry's in the fewest fields, and in few."""
    candidates = [
        NearProtection(name, tuple((f.name, f.get(bits)) for f in form.fields if f.get(raw) != f.get(bits)))
        for name, bits in _declared(target, form)
    ]
    least = min((len(near.differs) for near in candidates), default=0)
    return tuple(dict.fromkeys(near for near in candidates if len(near.differs) == least)) if 0 < least <= _NEAR else ()
