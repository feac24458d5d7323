"""Entry formats: the forms of a page-table entry at each level, encoded and decoded."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hvolab.arch.fields import AddressPart, EntryRule, Field, FieldValues, Match, Raw, set_bits
from hvolab.errors import DescriptionError, EncodingError
from hvolab.units import format_size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class EntryKind(enum.Enum):
    """The meaning of an entry to a page-table walk."""

    NONE = "none"  #: not valid: the walk ends with a translation fault, whatever the other bits are
    TABLE = "table"  #: points to the next table
    LEAF = "leaf"  #: maps memory
    ILLEGAL = "illegal"  #: valid, but of no form that the architecture defines at this level


@dataclass(frozen=True)
class Entry:
    """A decoded entry.

    level  name of its level
    raw    the integer in memory
    kind   its meaning to a walk
    pfn    output PFN in units of the base page; ``None`` if there is none
    form   the form that it matches; ``None`` if it is not valid
    """

    level: str
    raw: int
    kind: EntryKind
    pfn: int | None = None
    form: EntryForm | None = field(default=None, repr=False)

    @property
    def fields(self) -> FieldValues:
        """Every field's value by name, in order of bits."""
        fields = () if self.form is None else sorted(self.form.fields, key=lambda field: field.low)
        return tuple((field.name, field.get(self.raw)) for field in fields)

    def __str__(self) -> str:
        named = [name if value == 1 else f"{name}={value:#x}" for name, value in self.fields if value]
        where = "" if self.pfn is None else f" pfn={self.pfn:#x}"
        return f"{self.level} {self.kind.value}{where} {'|'.join(named) or '-'}"


@dataclass(frozen=True)
class EntryForm:
    """One form of entry: the table or the leaf of some levels.

    kind       TABLE or LEAF
    levels     names of the levels at which the form occurs
    recognize  patterns: an entry that matches one of them has this form
    address    the bits that hold the output PA
    fields     every other bit that has a meaning, or is ignored and free for software
    rules      rules that such an entry must keep
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

    def __str__(self) -> str:
        return f"{self.kind.value} entry at {'/'.join(self.levels)}"

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
        """The bits that hold the output PA."""
        return _union(part.mask for part in self.address)

    @cached_property
    def physical_mask(self) -> int:
        """The bits of a PA that the form can hold."""
        return _union(part.physical_mask for part in self.address)

    @cached_property
    def shift(self) -> int:
        """log2 of the alignment of the output PA in bytes; of a leaf, log2 of the bytes that it maps."""
        return min(part.physical for part in self.address)

    @cached_property
    def _known(self) -> int:
        """The bits that have a meaning, or are ignored."""
        return self.address_mask | _union(field.mask for field in self.fields)

    def reserved_mask(self, entry_bits: int) -> int:
        """Return the bits of an entry of ``entry_bits`` bits that must be zero."""
        return ((1 << entry_bits) - 1) & ~self._known

    def matches(self, raw: int) -> bool:
        """Return whether ``raw`` has this form."""
        for match in self.recognize:  # noqa: SIM110 - any() costs a generator for each entry that is walked
            if raw & match.mask == match.value:
                return True
        return False

    def put_address(self, pa: Raw) -> Raw:
        """Return the bits of an entry that hold ``pa``; low bits that the form cannot hold are dropped."""
        first, *others = self.address
        bits: Any = pa  # numpy's stubs take a shifted array of uint64 for a signed one
        raw: Raw = ((bits >> first.physical) & (first.mask >> first.low)) << first.low
        for part in others:
            raw |= ((bits >> part.physical) & (part.mask >> part.low)) << part.low
        return raw

    def get_address(self, raw: Raw) -> Raw:
        """Return the output PA of ``raw``."""
        (mask, low, physical), *others = self._parts
        bits: Any = raw
        pa: Raw = (bits & mask) >> low << physical
        for mask, low, physical in others:
            pa |= (bits & mask) >> low << physical
        return pa

    def put_fields(self, chosen: FieldValues) -> int:
        """Return the bits of ``chosen``, and of the constant fields that ``chosen`` does not set.

        Raises EncodingError for a name that the form does not have or a value that does not fit.
        """
        raw = 0
        for name, value in {**dict(self.constant), **dict(chosen)}.items():
            field = self.by_name.get(name)
            if field is None:
                raise EncodingError(
                    f"no field {name!r} in a {self}",
                    rule=self.source,
                    hint=f"the fields are {', '.join(self.by_name)}",
                )
            if not 0 <= value < field.limit:
                raise EncodingError(f"{value} does not fit in {field}", rule=self.source)
            raw |= value << field.low
        return raw

    def ignoring(self, mask: int) -> EntryForm:
        """Return this form without its rules for the bits of ``mask`` alone; reserved ones are free for software."""
        freed = set_bits(mask & self.reserved_mask(mask.bit_length()))
        return replace(
            self,
            fields=(*self.fields, *(Field(f"IGNORED_{bit}", bit) for bit in freed)),
            rules=tuple(rule for rule in self.rules if rule.broken_by.mask & ~mask),
        )

    def extended(self, fields: tuple[Field, ...], rules: tuple[EntryRule, ...]) -> EntryForm:
        """Return this form with more rules, and with fields that take their bits from the address or reserved bits."""
        form = replace(self, rules=(*self.rules, *rules))
        for added in fields:
            if added in form.fields:
                continue
            if any(added.mask & other.mask for other in form.fields):
                raise DescriptionError(f"{added} overlaps another field of the {self}", rule=self.source)
            address = tuple(rest for part in form.address for rest in part.without(added))
            form = replace(form, address=address, fields=(*form.fields, added))
        return form


@dataclass(frozen=True)
class EntryFormat:
    """All forms of a paging mode's entries.

    valid       the pattern of an entry that the walker does not take for absent
    forms       tables and leaves, in the order in which they are recognized. Of several of one kind at a level the
                last is the plain one; those before it match more bits.
    entry_bits  width of an entry
    valid_at    (level, patterns) of the levels where validity has other patterns: an entry there is valid if any
                of them matches
    empty_at    (level, entry) of the levels where an entry of a new table is not 0, because 0 would be valid
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
        """Return the patterns of a valid entry at ``level``; one of them must match."""
        return self._valid_by_level.get(level, (self.valid,))

    def is_valid(self, level: str, raw: Raw) -> bool | npt.NDArray[np.bool_]:
        """Return whether ``raw`` is valid at ``level``; for an array, an array of booleans."""
        first, *others = self.valid_patterns(level)
        valid = first.accepts(raw)
        for pattern in others:
            valid = valid | pattern.accepts(raw)
        return valid

    def empty(self, level: str) -> int:
        """Return every entry of a new table of ``level``; it is not valid there."""
        return dict(self.empty_at).get(level, 0)

    def form(self, level: str, kind: EntryKind, fields: Iterable[str] = ()) -> EntryForm:
        """Return the form of ``kind`` at ``level`` that has the fields of these names, the plain one if it can be.

        The plain form too if no form has all of them. Raises EncodingError for a kind that the level does not have.
        """
        forms = [form for form in reversed(self.forms) if form.kind is kind and level in form.levels]
        if not forms:
            offered = ", ".join(form.kind.value for form in self.forms if level in form.levels) or "nothing"
            raise EncodingError(f"an entry at {level} cannot be a {kind.value}", rule=f"{level} may hold: {offered}")
        names = set(fields)
        return next((form for form in forms if names <= form.by_name.keys()), forms[0])

    def leaf_form(self, level: str) -> EntryForm | None:
        """Return the plain form of a leaf at ``level``; ``None`` if there are no leaves."""
        return next(
            (form for form in reversed(self.forms) if form.kind is EntryKind.LEAF and level in form.levels), None
        )

    def recognize(self, level: str, raw: int) -> EntryForm | None:
        """Return the form that ``raw`` has at ``level``; ``None`` if no form there matches."""
        for form in self.forms:
            if level in form.levels and form.matches(raw):
                return form
        return None

    def classify(self, level: str, raw: int) -> EntryKind:
        """Return the meaning of ``raw`` to a walk at ``level``, reserved bits aside."""
        if not self.is_valid(level, raw):
            return EntryKind.NONE
        form = self.recognize(level, raw)
        return EntryKind.ILLEGAL if form is None else form.kind

    def broken_rules(self, level: str, raw: int) -> list[tuple[str, str]]:
        """Return every rule that the valid entry ``raw`` breaks at ``level``, as pairs of text and source."""
        form = self.recognize(level, raw)
        if form is None:
            return [(f"the type bits of a valid entry at {level} are those of no form defined there", self._sources())]
        rules = [rule for rule in form.rules if rule.broken_by.accepts(raw)]
        broken = [(rule.text, rule.source) for rule in rules]
        reserved = raw & form.reserved_mask(self.entry_bits) & ~_union(rule.broken_by.mask for rule in rules)
        misaligned = reserved & self._leaf_address_mask if form.kind is EntryKind.LEAF else 0
        for mask, text in (
            (misaligned, f"the output address of a {form} is a multiple of {format_size(1 << form.shift)}"),
            (reserved & ~misaligned, "reserved bits must be zero"),
        ):
            if mask:
                broken.append((f"{text}, set are: {', '.join(map(str, set_bits(mask)))}", form.source))
        return broken

    @cached_property
    def _leaf_address_mask(self) -> int:
        """The bits that hold the output PA in some leaf: a reserved one in another leaf is for its alignment."""
        return _union(form.address_mask for form in self.forms if form.kind is EntryKind.LEAF)

    def decode(self, level: str, raw: int, page_shift: int) -> Entry:
        """Decode ``raw`` as an entry of ``level``.

        Raises EncodingError with the broken rule for a valid entry that is reserved or illegal.
        """
        if not 0 <= raw < 1 << self.entry_bits:
            raise EncodingError(f"{raw:#x} is not an entry of {self.entry_bits} bits", where=level)
        if not self.is_valid(level, raw):
            return Entry(level, raw, EntryKind.NONE)
        form = self.recognize(level, raw)
        broken = self.broken_rules(level, raw)
        if broken or form is None:
            raise EncodingError(
                f"entry {raw:#018x} is not legal: " + "; ".join(text for text, _ in broken),
                where=f"level {level}",
                rule="; ".join(dict.fromkeys(source for _, source in broken if source)),
            )
        return Entry(level, raw, form.kind, form.get_address(raw) >> page_shift, form)

    def encode(self, level: str, kind: EntryKind, pfn: int, chosen: FieldValues, page_shift: int) -> int:
        """Return the entry of ``kind`` at ``level`` with that output PFN and those fields.

        Its form is one that has the fields. Raises EncodingError for a PFN that the form cannot hold (misaligned, too
        high), for unknown fields, and for a result that breaks a rule.
        """
        form = self.form(level, kind, (name for name, _ in chosen))
        pa = pfn << page_shift
        if pfn < 0 or pa & ~form.physical_mask:
            raise EncodingError(
                f"PFN {pfn:#x} does not fit in a {kind.value} entry at {level}",
                where=f"PA bits that fit: {form.physical_mask:#x}",
                rule=form.source,
                hint="align the frame to what the level maps, and stay below the PA width",
            )
        raw = form.put_address(pa) | form.put_fields(chosen)
        if self.decode(level, raw, page_shift).form is not form:
            raise EncodingError(f"the fields of {raw:#018x} are not those of a {form}", rule=form.source)
        return raw

    def with_fields(
        self,
        fields: tuple[Field, ...],
        rules: tuple[EntryRule, ...] = (),
        kinds: tuple[EntryKind, ...] = (EntryKind.TABLE, EntryKind.LEAF),
    ) -> EntryFormat:
        """Return this format with more fields and rules in every form of these kinds."""
        if not fields and not rules:
            return self
        forms = (form.extended(fields, rules) if form.kind in kinds else form for form in self.forms)
        return replace(self, forms=tuple(forms))

    def with_forms(self, forms: tuple[EntryForm, ...]) -> EntryFormat:
        """Return this format with more forms, which are recognized before its own."""
        return replace(self, forms=(*forms, *self.forms))

    def _sources(self) -> str:
        return "; ".join(dict.fromkeys(form.source for form in self.forms if form.source))


def _union(masks: Iterable[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total
