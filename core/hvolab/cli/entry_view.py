# SPDX-License-Identifier: GPL-2.0-only
"""A page-table entry as `hvolab pte` reports it: named bits, protections, permissions, flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hvolab.arch import Access, Entry, EntryForm, EntryKind, SoftwareEntry, Target, UpdateRule, set_bits
from hvolab.arch.target_data import TargetData, target_as_dict
from hvolab.cli.protections import NearProtection, exact_protections, near_protections, protections_elsewhere
from hvolab.serialize import Hex


@dataclass(frozen=True)
class Bits:
    """A run of bits of an entry, from the number of the highest to that of the lowest.

    name   of the field; `address` and `reserved` for bits that belong to none
    value  their value; of address bits, the PA bits in place
    """

    name: str
    high: int
    low: int
    value: Hex
    meaning: str

    @property
    def span(self) -> str:
        """The bit numbers as manuals write them: `63`, `51:12`."""
        return f"{self.high}" if self.high == self.low else f"{self.high}:{self.low}"


@dataclass(frozen=True)
class NearData:
    """A protection that is near, and the fields in which it differs: their values there, in hex."""

    name: str
    there: Mapping[str, str]


@dataclass(frozen=True)
class SoftwareData:
    """Meaning to the kernel of an entry that is not valid, and its PFN if it has one."""

    name: str
    meaning: str
    pfn: Hex | None


@dataclass(frozen=True)
class EntryData(TargetData):
    """One entry, in the JSON of `hvolab pte`.

    kind               kind of the entry: leaf, table, or not valid
    maps_bytes         bytes of VA that it covers
    pgprots            protections that it has exactly
    pgprots_elsewhere  if it has none: those that it has exactly under another profile or release, with which
    nearest_pgprots    if it has none of those either: the nearest
    allows             for each access, whether it is allowed
    flags              accessed and dirty flags of a leaf
    fields             every bit, the lowest first
    """

    level: str
    entry: Hex
    kind: str
    pfn: Hex | None
    pa: Hex | None
    maps_bytes: int
    pgprots: tuple[str, ...]
    pgprots_elsewhere: tuple[str, ...]
    nearest_pgprots: tuple[NearData, ...]
    allows: Mapping[str, bool]
    flags: Mapping[str, bool]
    fields: tuple[Bits, ...]
    software: SoftwareData | None


@dataclass(frozen=True)
class EntryView:
    """A decoded entry with its protections and permissions.

    target, entry  the target that it was decoded for, and the entry
    bits           every bit, the lowest first; empty for an entry that is not valid and has no meaning to the kernel
    software       meaning to the kernel of an entry that is not valid
    pgprots        names of the protections that it has exactly
    elsewhere      if it has none: those that it has exactly under another profile or release, with which
    nearest        if it has none of those either: the nearest, if few fields differ
    allows         accesses that the kernel is allowed, or that a table entry does not deny, as bits of Access
    flags          (flag, whether it is set, effect on accesses) for the accessed and dirty flags of a leaf
    """

    target: Target
    entry: Entry
    bits: tuple[Bits, ...] = ()
    pgprots: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    nearest: tuple[NearProtection, ...] = ()
    allows: int = 0
    flags: tuple[tuple[str, bool, str], ...] = ()
    software: SoftwareEntry | None = None

    @property
    def software_pfn(self) -> int | None:
        """The PFN that an entry has which is not valid; ``None`` if there is none."""
        return None if self.software is None else self.software.pfn(self.entry.raw, self.target.mode.page_shift)

    @property
    def pa(self) -> int | None:
        """The output PA; ``None`` if there is none."""
        return None if self.entry.pfn is None else self.entry.pfn << self.target.mode.page_shift

    @property
    def maps(self) -> int:
        """Bytes of VA that it covers; a leaf of several entries covers more than one entry of its level."""
        form = self.entry.form
        if form is not None and form.kind is EntryKind.LEAF:
            return 1 << form.shift
        return self.target.mode.level(self.entry.level).size

    @property
    def accesses(self) -> dict[str, bool]:
        """Each access by name: whether it is allowed."""
        words = {"load": Access.READ, "store": Access.WRITE, "fetch": Access.EXECUTE}
        return {word: bool(self.allows & access) for word, access in words.items()}

    def data(self) -> EntryData:
        """Return the view for JSON."""
        entry, software = self.entry, self.software
        return EntryData(
            **target_as_dict(self.target),
            level=entry.level,
            entry=entry.raw,
            kind=entry.kind.value,
            pfn=entry.pfn,
            pa=self.pa,
            maps_bytes=self.maps,
            pgprots=self.pgprots,
            pgprots_elsewhere=self.elsewhere,
            nearest_pgprots=tuple(
                NearData(near.name, {field: hex(value) for field, value in near.differs}) for near in self.nearest
            ),
            allows=self.accesses,
            flags={flag: is_set for flag, is_set, _ in self.flags},
            fields=self.bits,
            software=None if software is None else SoftwareData(software.name, software.meaning, self.software_pfn),
        )


def view_entry(target: Target, level: str, raw: int) -> EntryView:
    """Decode ``raw`` at ``level``; raises EncodingError with the rule that it breaks."""
    entry = target.decode(level, raw)
    form = entry.form
    if form is None:
        kind = target.mode.format.software_entry(level, raw)
        bits = () if kind is None else _bits(kind.form, kind.plain(raw), target.mode.format.entry_bits)
        return EntryView(target, entry, bits, software=kind)
    is_leaf = form.kind is EntryKind.LEAF
    allows = target.allowed(raw, ()) if is_leaf else _passed(target, raw)
    pgprots = exact_protections(target, form, raw)
    elsewhere = () if pgprots else protections_elsewhere(target, form, raw)
    return EntryView(
        target,
        entry,
        bits=_bits(form, raw, target.mode.format.entry_bits),
        pgprots=pgprots,
        elsewhere=elsewhere,
        nearest=() if pgprots or elsewhere else near_protections(target, form, raw),
        allows=allows,
        flags=_flags(target, raw, allows) if is_leaf else (),
    )


def _bits(form: EntryForm, raw: int, entry_bits: int) -> tuple[Bits, ...]:
    found = [Bits(f.name, f.low + f.width - 1, f.low, f.get(raw), f.meaning) for f in form.fields]
    for part in form.address:
        pa_bits = f"{part.physical + part.width - 1}:{part.physical}"
        value = (raw & part.mask) >> part.low << part.physical
        found.append(Bits("address", part.low + part.width - 1, part.low, value, f"bits {pa_bits} of the output PA"))
    reserved = set_bits(form.reserved_mask(entry_bits))
    lows, highs = ([bit for bit in reserved if bit + step not in reserved] for step in (-1, 1))
    found += [Bits("reserved", high, low, 0, "must be zero") for high, low in zip(highs, lows, strict=True)]
    return tuple(sorted(found, key=lambda bits: bits.low))


def _passed(target: Target, raw: int) -> int:
    """Return the accesses that a table entry does not deny."""
    permissions = target.mmu.permissions
    return sum(access for access, each in permissions if each.tables is None or each.tables.accepts(raw))


_CLEAR = {
    UpdateRule.WALKER: "the walker sets it at the first {access}",
    UpdateRule.SOFTWARE: "the first {access} faults",
    UpdateRule.NOBODY: "which has no effect on accesses",
}


def _flags(target: Target, raw: int, allowed: int) -> tuple[tuple[str, bool, str], ...]:
    """Return the accessed and dirty flags; `allowed`: the accesses that the entry allows, as bits of Access."""
    mmu = target.mmu
    flags = []
    for name, match, rule, access, needed in (
        ("accessed", mmu.accessed, mmu.accessed_by, "access", Access.READ | Access.WRITE | Access.EXECUTE),
        ("dirty", mmu.dirty, mmu.dirty_by, "store", Access.WRITE),
    ):
        if match is not None:
            is_set = bool(match.accepts(raw))
            denied = rule is UpdateRule.WALKER and not allowed & needed
            effect = f"no {access} is allowed" if denied else _CLEAR[rule].format(access=access)
            flags.append((name, is_set, "" if is_set else effect))
    return tuple(flags)
