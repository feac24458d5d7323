"""Entry formats: what a page-table entry of one level may say, how it is encoded and decoded."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hvolab.arch.fields import AddressPart, EntryRule, Field, FieldValues, Match, Raw, set_bits
from hvolab.errors import DescriptionError, EncodingError


class EntryKind(enum.Enum):
    """What an entry is to a page-table walk."""

    NONE = "none"  #: not valid: the walk ends with a translation fault, whatever the other bits are
    TABLE = "table"  #: points to the next table
    LEAF = "leaf"  #: maps memory
    ILLEGAL = "illegal"  #: valid, but of no form that the architecture defines at this level


@dataclass(frozen=True)
class Entry:
    """A decoded entry.

    level   name of the level that it stands at
    raw     the integer in memory
    kind    what it is to a walk
    pfn     output PFN in units of the base page; ``None`` where there is none
    fields  every field's value by name, in order of bits
    """

    level: str
    raw: int
    kind: EntryKind
    pfn: int | None
    fields: FieldValues

    def __str__(self) -> str:
        named = [name if value == 1 else f"{name}={value:#x}" for name, value in self.fields if value]
        where = "" if self.pfn is None else f" pfn={self.pfn:#x}"
        return f"{self.level} {self.kind.value}{where} {'|'.join(named) or '-'}"


@dataclass(frozen=True)
class EntryForm:
    """One form of entry: the table or the leaf of some levels.

    kind       TABLE or LEAF
    levels     names of the levels at which the form occurs
    recognize  the entry has this form where any of the patterns matches
    address    where the output PA stands
    fields     every other bit that has a meaning, or is ignored and free for software
    rules      what such an entry must not say
    source     manual section
    constant   values that entries of this form have whatever their protection is: the type of a table, a leaf's size

    Bits that are neither address nor field are reserved and must be zero.
    """

    kind: EntryKind
    levels: tuple[str, ...]
    recognize: tuple[Match, ...]
    address: tuple[AddressPart, ...]
    fields: tuple[Field, ...]
    rules: tuple[EntryRule, ...] = ()
    source: str = ""
    constant: FieldValues = ()

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def _parts(self) -> tuple[tuple[int, int, int], ...]:
        """The parts of the output PA as plain numbers: every walk needs them."""
        return tuple((part.mask, part.low, part.physical) for part in self.address)

    @cached_property
    def address_mask(self) -> int:
        """The bits in which the output PA stands."""
        return _union(part.mask for part in self.address)

    @cached_property
    def physical_mask(self) -> int:
        """The bits of a PA that the form can hold."""
        return _union(part.physical_mask for part in self.address)

    @cached_property
    def _known(self) -> int:
        """The bits that have a meaning, or are ignored."""
        return self.address_mask | _union(field.mask for field in self.fields)

    def reserved_mask(self, entry_bits: int) -> int:
        """The bits of an entry of ``entry_bits`` bits that must be zero."""
        return ((1 << entry_bits) - 1) & ~self._known

    def matches(self, raw: int) -> bool:
        """Whether ``raw`` is recognized as this form."""
        for match in self.recognize:  # noqa: SIM110 - any() costs a generator for each entry that is walked
            if raw & match.mask == match.value:
                return True
        return False

    def put_address(self, pa: Raw) -> Raw:
        """The bits of an entry that hold ``pa``; low bits that the form cannot hold are dropped."""
        first, *others = self.address
        bits: Any = pa  # numpy's stubs take a shifted array of uint64 for a signed one
        raw: Raw = ((bits >> first.physical) & (first.mask >> first.low)) << first.low
        for part in others:
            raw |= ((bits >> part.physical) & (part.mask >> part.low)) << part.low
        return raw

    def get_address(self, raw: Raw) -> Raw:
        """The output PA of ``raw``."""
        (mask, low, physical), *others = self._parts
        bits: Any = raw
        pa: Raw = (bits & mask) >> low << physical
        for mask, low, physical in others:
            pa |= (bits & mask) >> low << physical
        return pa

    def put_fields(self, chosen: FieldValues) -> int:
        """The bits of ``chosen``, and of what is constant where ``chosen`` does not say otherwise.

        Raises EncodingError for a name that the form does not have or a value that does not fit.
        """
        raw = 0
        for name, value in {**dict(self.constant), **dict(chosen)}.items():
            field = self.by_name.get(name)
            if field is None:
                raise EncodingError(
                    f"no field {name!r} in a {self.kind.value} entry at {'/'.join(self.levels)}",
                    rule=self.source,
                    hint=f"the fields are {', '.join(self.by_name)}",
                )
            if not 0 <= value < field.limit:
                raise EncodingError(f"{value} does not fit in {field}", rule=self.source)
            raw |= value << field.low
        return raw

    def ignoring(self, mask: int) -> EntryForm:
        """This form with these bits free for anything where it reserves them, and no rule that looks at them alone."""
        freed = set_bits(mask & self.reserved_mask(mask.bit_length()))
        return replace(
            self,
            fields=(*self.fields, *(Field(f"IGNORED_{bit}", bit) for bit in freed)),
            rules=tuple(rule for rule in self.rules if rule.broken_by.mask & ~mask),
        )

    def with_field(self, field: Field) -> EntryForm:
        """This form with a field that takes its bits from the address or from what was reserved."""
        if any(field.mask & other.mask for other in self.fields):
            raise DescriptionError(f"{field} overlaps another field of the {self.kind.value} form", rule=self.source)
        address = tuple(rest for part in self.address for rest in part.without(field))
        return replace(self, address=address, fields=(*self.fields, field))


@dataclass(frozen=True)
class EntryFormat:
    """All forms of a paging mode's entries.

    valid       the pattern of an entry that the walker does not take for absent
    forms       tables and leaves, in the order in which they are recognized; of several of one kind at a level the
                last is the plain one, those before it are told from it by more bits
    entry_bits  width of an entry
    valid_at    (level, patterns) of the levels where validity is told otherwise: an entry there is valid where any
                of the patterns matches
    empty_at    (level, entry) of the levels where an entry of a new table is not 0: where 0 would be valid
    """

    valid: Match
    forms: tuple[EntryForm, ...]
    entry_bits: int = 64
    valid_at: tuple[tuple[str, tuple[Match, ...]], ...] = ()
    empty_at: tuple[tuple[str, int], ...] = ()

    @cached_property
    def _valid_by_level(self) -> dict[str, tuple[Match, ...]]:
        return dict(self.valid_at)

    def valid_patterns(self, level: str) -> tuple[Match, ...]:
        """The patterns of a valid entry at ``level``; one of them must match."""
        return self._valid_by_level.get(level, (self.valid,))

    def is_valid(self, level: str, raw: Raw) -> bool | npt.NDArray[np.bool_]:
        """Whether ``raw`` is valid at ``level``; for an array, an array of answers."""
        first, *others = self.valid_patterns(level)
        answer = first.accepts(raw)
        for pattern in others:
            answer = answer | pattern.accepts(raw)
        return answer

    def empty(self, level: str) -> int:
        """What every entry of a new table of ``level`` is: not valid there."""
        return dict(self.empty_at).get(level, 0)

    def form(self, level: str, kind: EntryKind) -> EntryForm:
        """The plain form of ``kind`` at ``level``; raises EncodingError where there is none."""
        for form in reversed(self.forms):
            if form.kind is kind and level in form.levels:
                return form
        offered = ", ".join(form.kind.value for form in self.forms if level in form.levels) or "nothing"
        raise EncodingError(f"an entry at {level} cannot be a {kind.value}", rule=f"{level} may hold: {offered}")

    def leaf_form(self, level: str) -> EntryForm | None:
        """The plain form of a leaf at ``level``; ``None`` where there are no leaves."""
        return next(
            (form for form in reversed(self.forms) if form.kind is EntryKind.LEAF and level in form.levels), None
        )

    def recognize(self, level: str, raw: int) -> EntryForm | None:
        """The form that ``raw`` has at ``level``; ``None`` where it has none that is defined there."""
        for form in self.forms:
            if level in form.levels and form.matches(raw):
                return form
        return None

    def classify(self, level: str, raw: int) -> EntryKind:
        """What ``raw`` is to a walk at ``level``, reserved bits aside."""
        if not self.is_valid(level, raw):
            return EntryKind.NONE
        form = self.recognize(level, raw)
        return EntryKind.ILLEGAL if form is None else form.kind

    def broken_rules(self, level: str, raw: int) -> list[tuple[str, str]]:
        """Every rule that the valid entry ``raw`` breaks at ``level``, as pairs of text and source."""
        form = self.recognize(level, raw)
        if form is None:
            return [(f"the type bits of a valid entry at {level} are those of no form defined there", self._sources())]
        broken = [(rule.text, rule.source) for rule in form.rules if rule.broken_by.accepts(raw)]
        if reserved := raw & form.reserved_mask(self.entry_bits):
            numbers = ", ".join(str(bit) for bit in range(self.entry_bits) if reserved >> bit & 1)
            broken.append((f"reserved bits must be zero, set are: {numbers}", form.source))
        return broken

    def decode(self, level: str, raw: int, page_shift: int) -> Entry:
        """Decode ``raw`` as it stands at ``level``.

        Raises EncodingError with the broken rule for a valid entry that is reserved or illegal.
        """
        if not 0 <= raw < 1 << self.entry_bits:
            raise EncodingError(f"{raw:#x} is not an entry of {self.entry_bits} bits", where=level)
        if not self.is_valid(level, raw):
            return Entry(level, raw, EntryKind.NONE, None, ())
        broken = self.broken_rules(level, raw)
        if broken:
            raise EncodingError(
                f"entry {raw:#018x} is not legal: " + "; ".join(text for text, _ in broken),
                where=f"level {level}",
                rule="; ".join(dict.fromkeys(source for _, source in broken if source)),
            )
        form = self.recognize(level, raw)
        assert form is not None  # noqa: S101 - broken_rules() told of it otherwise
        fields = tuple((field.name, field.get(raw)) for field in sorted(form.fields, key=lambda field: field.low))
        return Entry(level, raw, form.kind, form.get_address(raw) >> page_shift, fields)

    def encode(self, level: str, kind: EntryKind, pfn: int, chosen: FieldValues, page_shift: int) -> int:
        """The entry of ``kind`` at ``level`` with that output PFN and those fields.

        Raises EncodingError for a PFN that the form cannot hold (misaligned, too high), for unknown
        fields, and where the result breaks a rule.
        """
        form = self.form(level, kind)
        pa = pfn << page_shift
        if pfn < 0 or pa & ~form.physical_mask:
            raise EncodingError(
                f"PFN {pfn:#x} cannot stand in a {kind.value} entry at {level}",
                where=f"PA bits that can: {form.physical_mask:#x}",
                rule=form.source,
                hint="align the frame to what the level maps, and stay below the PA width",
            )
        raw = form.put_address(pa) | form.put_fields(chosen)
        self.decode(level, raw, page_shift)
        if self.classify(level, raw) is not kind:
            raise EncodingError(f"{raw:#018x} does not read as a {kind.value} entry at {level}", rule=form.source)
        return raw

    def with_fields(
        self, fields: tuple[Field, ...], kinds: tuple[EntryKind, ...] = (EntryKind.TABLE, EntryKind.LEAF)
    ) -> EntryFormat:
        """This format with more fields in every form of these kinds."""
        forms = self.forms
        for field in fields:
            forms = tuple(form.with_field(field) if form.kind in kinds else form for form in forms)
        return replace(self, forms=forms)

    def with_forms(self, forms: tuple[EntryForm, ...]) -> EntryFormat:
        """This format with more forms, which are recognized before its own."""
        return replace(self, forms=(*forms, *self.forms))

    def _sources(self) -> str:
        return "; ".join(dict.fromkeys(form.source for form in self.forms if form.source))


def _union(masks: Iterator[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total
