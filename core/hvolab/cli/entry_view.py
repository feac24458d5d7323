"""What one page-table entry says, worked out for `hvolab pte`: bits by name, protections, what accesses it allows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hvolab.arch import Access, Entry, EntryKind, Match, Target, UpdateRule
from hvolab.cli.options import target_as_dict
from hvolab.cli.protections import Nearness, elsewhere_of, nearest_of, pgprots_of


@dataclass(frozen=True)
class Bits:
    """A run of bits of an entry.

    name     of the field; `address` and `reserved` for bits that belong to none
    high     number of the highest bit
    low      number of the lowest
    value    what stands there; of address bits, the PA bits in place
    meaning  in a few words
    """

    name: str
    high: int
    low: int
    value: int
    meaning: str

    @property
    def span(self) -> str:
        """The bit numbers as manuals write them: `63`, `51:12`."""
        return f"{self.high}" if self.high == self.low else f"{self.high}:{self.low}"


@dataclass(frozen=True)
class EntryView:
    """What one entry says.

    target, entry  what it was decoded for, and the entry decoded
    pa             output PA; ``None`` where there is none
    maps           bytes of VA that it covers
    bits           every bit, the lowest first; empty for an entry that is not valid
    pgprots        names of the protections that it has exactly
    elsewhere      where it has none: those that it has exactly under another profile or release, with which
    nearest        where it has none of those either: the nearest, if few fields differ
    allows         accesses that the kernel is allowed (of a table entry: that it lets pass), as bits of Access
    flags          (flag, whether it is set, what follows for accesses) for the accessed and dirty flags of a leaf
    """

    target: Target
    entry: Entry
    pa: int | None
    maps: int
    bits: tuple[Bits, ...]
    pgprots: tuple[str, ...]
    elsewhere: tuple[str, ...]
    nearest: tuple[Nearness, ...]
    allows: int
    flags: tuple[tuple[str, bool, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """The view for JSON."""
        entry = self.entry
        return {
            **target_as_dict(self.target),
            "level": entry.level,
            "entry": _hex(entry.raw),
            "kind": entry.kind.value,
            "pfn": _hex(entry.pfn),
            "pa": _hex(self.pa),
            "maps_bytes": self.maps,
            "pgprots": list(self.pgprots),
            "pgprots_elsewhere": list(self.elsewhere),
            "nearest_pgprots": [
                {"name": near.name, "there": {field: _hex(value) for field, value in near.differs}}
                for near in self.nearest
            ],
            "allows": {word: bool(self.allows & access) for word, access in ACCESS_WORDS},
            "flags": {flag: is_set for flag, is_set, _ in self.flags},
            "fields": [{**asdict(bits), "value": _hex(bits.value)} for bits in self.bits],
        }


#: What each access is called.
ACCESS_WORDS = (("load", Access.READ), ("store", Access.WRITE), ("fetch", Access.EXECUTE))


def view_entry(target: Target, level: str, raw: int) -> EntryView:
    """Decode ``raw`` at ``level``; raises EncodingError with the rule that it breaks."""
    entry = target.decode(level, raw)
    valid = entry.kind is not EntryKind.NONE
    pgprots = pgprots_of(target, entry) if valid else ()
    elsewhere = elsewhere_of(target, entry) if valid and not pgprots else ()
    return EntryView(
        target=target,
        entry=entry,
        pa=None if entry.pfn is None else entry.pfn << target.mode.page_shift,
        maps=target.mode.level(level).size,
        bits=_bits(target, entry) if valid else (),
        pgprots=pgprots,
        elsewhere=elsewhere,
        nearest=nearest_of(target, entry) if valid and not pgprots and not elsewhere else (),
        allows=_allowed(target, entry) if valid else 0,
        flags=_flags(target, raw) if entry.kind is EntryKind.LEAF else (),
    )


def _bits(target: Target, entry: Entry) -> tuple[Bits, ...]:
    form = target.mode.format.form(entry.level, entry.kind)
    found = [Bits(f.name, f.low + f.width - 1, f.low, f.get(entry.raw), f.meaning) for f in form.fields]
    for part in form.address:
        pa_bits = f"{part.physical + part.width - 1}:{part.physical}"
        value = (entry.raw & part.mask) >> part.low << part.physical
        found.append(Bits("address", part.low + part.width - 1, part.low, value, f"bits {pa_bits} of the output PA"))
    reserved = form.reserved_mask(target.mode.format.entry_bits)
    found += [Bits("reserved", high, low, 0, "must be zero") for high, low in _runs(reserved)]
    return tuple(sorted(found, key=lambda bits: bits.low))


def _runs(mask: int) -> list[tuple[int, int]]:
    """The runs of ones in ``mask``, each as (highest bit, lowest bit)."""
    runs = []
    while mask:
        low = (mask & -mask).bit_length() - 1
        width = (~(mask >> low) & (mask >> low) + 1).bit_length() - 1
        runs.append((low + width - 1, low))
        mask &= mask + (1 << low)
    return runs


def _allowed(target: Target, entry: Entry) -> int:
    if entry.kind is EntryKind.LEAF:
        return target.allowed(entry.raw, ())
    mmu = target.mmu
    passed = 0
    for permission, access in ((mmu.read, Access.READ), (mmu.write, Access.WRITE), (mmu.execute, Access.EXECUTE)):
        if permission.tables is None or permission.tables.accepts(entry.raw):
            passed |= access
    return passed


_CLEAR = {
    UpdateRule.WALKER: "the walker sets it at the first {access}",
    UpdateRule.SOFTWARE: "the first {access} faults",
    UpdateRule.NOBODY: "which has no effect on accesses",
}


def _flags(target: Target, raw: int) -> tuple[tuple[str, bool, str], ...]:
    mmu = target.mmu
    flags: tuple[tuple[str, Match | None, UpdateRule, str], ...] = (
        ("accessed", mmu.accessed, mmu.accessed_by, "access"),
        ("dirty", mmu.dirty, mmu.dirty_by, "store"),
    )
    return tuple(
        (name, is_set, "" if is_set else _CLEAR[rule].format(access=access))
        for name, match, rule, access in flags
        if match is not None
        for is_set in (bool(match.accepts(raw)),)
    )


def _hex(number: int | None) -> str | None:
    return None if number is None else f"{number:#x}"
