"""Which declared protections an entry has: exactly, under another profile or release, or nearly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab.arch import Entry, EntryKind, PgprotRole, Target
from hvolab.errors import EncodingError

#: How many fields may differ from a protection that is still named as the nearest.
_NEAR: Final = 2


@dataclass(frozen=True)
class Nearness:
    """A protection that the entry nearly has: its name, and each field that differs as (name, its value there)."""

    name: str
    differs: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(f'{field} is {value:#x}' for field, value in self.differs)} there)"


def _declared(target: Target, entry: Entry) -> list[tuple[str, int]]:
    """Name and bits of each protection that an entry of this kind and level can have."""
    found = []
    for role, pgprot in target.pgprots:
        if (role is PgprotRole.TABLE) is not (entry.kind is EntryKind.TABLE):
            continue
        try:
            found.append((pgprot.name, target.bits(entry.level, role)))
        except EncodingError:
            continue  # it has fields that this level does not know
    return found


def pgprots_of(target: Target, entry: Entry) -> tuple[str, ...]:
    """The names of the protections that a valid entry has exactly."""
    form = target.mode.format.form(entry.level, entry.kind)
    own = entry.raw & ~form.address_mask
    return tuple(dict.fromkeys(name for name, bits in _declared(target, entry) if bits == own))


def elsewhere_of(target: Target, entry: Entry) -> tuple[str, ...]:
    """The protections that the entry has under other profiles and releases of the architecture."""
    architecture = target.architecture
    found: dict[str, None] = {}
    for profile in architecture.profiles:
        for release in architecture.releases:
            other = architecture.select(target.mode.name, profile=profile, release=release, features=target.features)
            words = [f"kernel {release}"] if release != target.release else []
            words += [f"profile {profile}"] if profile != target.profile else []
            found |= dict.fromkeys(f"{name} of {', '.join(words)}" for name in pgprots_of(other, entry))
    shortest = min((name.count(",") for name in found), default=0)
    return tuple(name for name in found if name.count(",") == shortest)


def nearest_of(target: Target, entry: Entry) -> tuple[Nearness, ...]:
    """The declared protections that differ from the entry's in the fewest fields, and in few."""
    form = target.mode.format.form(entry.level, entry.kind)
    candidates = [
        Nearness(name, tuple((f.name, f.get(bits)) for f in form.fields if f.get(entry.raw) != f.get(bits)))
        for name, bits in _declared(target, entry)
    ]
    least = min((len(near.differs) for near in candidates), default=0)
    return tuple(dict.fromkeys(near for near in candidates if len(near.differs) == least)) if 0 < least <= _NEAR else ()
