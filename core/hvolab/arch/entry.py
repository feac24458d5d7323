# SPDX-License-Identifier: GPL-2.0-only
"""Page-table entries: named fields, parts of the output address, patterns, rules, and the forms made of them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from hvolab.errors import DescriptionError, EncodingError

if TYPE_CHECKING:  # to decode one entry takes no numpy, whose import takes longer than that
    import numpy as np
    import numpy.typing as npt

#: Values of fields by name, as pairs, so that descriptions stay frozen and hashable.
FieldValues = tuple[tuple[str, int], ...]

#: Name of the output PA among inverted fields.
ADDRESS = "address"

#: One raw entry or an array of them: every function here accepts both.
Raw = TypeVar("Raw", int, "npt.NDArray[np.uint64]")


def values(*set_bits: str, **others: int) -> FieldValues:
    """Return field values: 1 for every name in ``set_bits``, the others as given."""
    return tuple((name, 1) for name in set_bits) + tuple(others.items())


def set_bits(mask: int) -> tuple[int, ...]:
    """Return the numbers of the bits that are set, ascending."""
    return tuple(bit for bit in range(mask.bit_length()) if mask >> bit & 1)


@dataclass(frozen=True)
class Field:
    """A named run of bits.

    name     the manual's or the kernel's name
    low      number of the lowest bit
    width    number of bits
    meaning  meaning of the bits, in a few words
    """

    name: str
    low: int
    width: int = 1
    meaning: str = ""

    @property
    def limit(self) -> int:
        """One more than the greatest value that fits."""
        return 1 << self.width

    @property
    def mask(self) -> int:
        """The field's bits in an entry."""
        return (self.limit - 1) << self.low

    def get(self, raw: int) -> int:
        """Return the field's value in ``raw``."""
        return (raw >> self.low) & (self.limit - 1)

    def __str__(self) -> str:
        high = self.low + self.width - 1
        return f"{self.name} (bit {self.low})" if self.width == 1 else f"{self.name} (bits {high}:{self.low})"


@dataclass(frozen=True)
class AddressPart:
    """A run of an entry's bits that holds a run of bits of the output PA.

    low       lowest bit in the entry
    width     number of bits
    physical  the PA bit at ``low``
    """

    low: int
    width: int
    physical: int

    @property
    def mask(self) -> int:
        """The part's bits in an entry."""
        return ((1 << self.width) - 1) << self.low

    @property
    def physical_mask(self) -> int:
        """The part's bits in a PA."""
        return ((1 << self.width) - 1) << self.physical

    def without(self, field: Field) -> tuple[AddressPart, ...]:
        """Return what is left of this part without the bits of ``field``: none, one or two parts."""
        high, field_high = self.low + self.width, field.low + field.width
        if field_high <= self.low or field.low >= high:
            return (self,)
        below, above = max(0, field.low - self.low), max(0, high - field_high)
        lower = AddressPart(self.low, below, self.physical)
        upper = AddressPart(high - above, above, self.physical + self.width - above)
        return tuple(part for part in (lower, upper) if part.width)


@dataclass(frozen=True)
class Match:
    """A pattern of bits: an entry matches if ``entry & mask == value``."""

    mask: int
    value: int

    def accepts(self, raw: Raw) -> bool | npt.NDArray[np.bool_]:
        """Return whether ``raw`` matches; for an array, an array of booleans."""
        matching: bool | npt.NDArray[np.bool_] = (raw & self.mask) == self.value
        return matching


@dataclass(frozen=True)
class EntryRule:
    """A rule that entries must keep.

    broken_by  an entry that matches breaks the rule
    text       the rule, in a few words
    source     manual section or kernel file
    """

    broken_by: Match
    text: str
    source: str


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
    offset offset in the page at which a table begins that is smaller than a page
    """

    level: str
    raw: int
    kind: EntryKind
    pfn: int | None = None
    form: EntryForm | None = field(default=None, repr=False)
    offset: int = 0

    @property
    def fields(self) -> FieldValues:
        """Every field's value by name, in order of bits."""
        fields = () if self.form is None else sorted(self.form.fields, key=lambda field: field.low)
        return tuple((field.name, field.get(self.raw)) for field in fields)

    def __str__(self) -> str:
        named = [name if value == 1 else f"{name}={value:#x}" for name, value in self.fields if value]
        where = "" if self.pfn is None else f" pfn={self.pfn:#x}"
        where += f"+{self.offset:#x}" if self.offset else ""
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
    constant   values that every entry of this form has, whatever its protection is: the type of a table, a leaf's size.
               An entry with another value is refused

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
        return union(part.mask for part in self.address)

    @cached_property
    def physical_mask(self) -> int:
        """The bits of a PA that the form can hold."""
        return union(part.physical_mask for part in self.address)

    @cached_property
    def shift(self) -> int:
        """log2 of the alignment of the output PA in bytes; of a leaf, log2 of the bytes that it maps."""
        return min(part.physical for part in self.address)

    @cached_property
    def _known(self) -> int:
        """The bits that have a meaning, or are ignored."""
        return self.address_mask | union(field.mask for field in self.fields)

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
                hint = f"the fields are {', '.join(self.by_name)}"
                raise EncodingError(f"no field {name!r} in a {self}", rule=self.source, hint=hint)
            if not 0 <= value < field.limit:
                raise EncodingError(f"{value} does not fit in {field}", rule=self.source)
            raw |= value << field.low
        return raw

    def misfit(self, pfn: int, level: str) -> EncodingError:
        """Return the error for a PFN that an entry of this form cannot hold."""
        return EncodingError(
            f"PFN {pfn:#x} does not fit in a {self.kind.value} entry at {level}",
            where=f"PA bits that fit: {self.physical_mask:#x}",
            rule=self.source,
            hint="align the frame to the size that the level maps, and stay below the PA width",
        )

    def name_bits(self, mask: int) -> str:
        """Return the bits of ``mask`` with their numbers and meanings, as ``bit 7 (DIRTY), bits 8, 9 (address)``."""
        named: dict[str, list[int]] = {}
        for bit in set_bits(mask):
            field = next((field.name for field in self.fields if field.mask >> bit & 1), "")
            named.setdefault(field or ("address" if self.address_mask >> bit & 1 else "reserved"), []).append(bit)
        return ", ".join(
            f"bit{'s' * (len(bits) > 1)} {', '.join(map(str, bits))} ({name})" for name, bits in named.items()
        )

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
class SoftwareEntry:
    """One kind of entry that is not valid.

    name      what it is, in a few words
    form      its levels, patterns, fields and address; a form of kind NONE
    meaning   what the kernel does with it
    inverted  names of fields that memory has inverted; ADDRESS: so is the output PA

    An entry of zeros is never one.
    """

    name: str
    form: EntryForm
    meaning: str = ""
    inverted: tuple[str, ...] = ()

    def matches(self, level: str, raw: int) -> bool:
        """Return whether ``raw`` at ``level`` is one."""
        return bool(raw) and level in self.form.levels and self.form.matches(raw)

    def plain(self, raw: int) -> int:
        """Return the entry without inversion."""
        names = (name for name in self.inverted if name != ADDRESS)
        mask = union(self.form.by_name[name].mask for name in names)
        return raw ^ (mask | (self.form.address_mask if ADDRESS in self.inverted else 0))

    def pfn(self, raw: int, page_shift: int) -> int | None:
        """Return the output PFN; None if it has none."""
        return self.form.get_address(self.plain(raw)) >> page_shift if self.form.address else None

    def extended(self, fields: tuple[Field, ...]) -> SoftwareEntry:
        """Return this kind with fields that take their bits from the output PA; unchanged if it has none."""
        return replace(self, form=self.form.extended(fields, ())) if self.form.address else self


def union(masks: Iterable[int]) -> int:
    """Return the bits that are set in any mask."""
    total = 0
    for mask in masks:
        total |= mask
    return total
