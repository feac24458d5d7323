"""Bits of a page-table entry: named fields, parts of the output address, patterns, rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # to decode one entry takes no numpy, whose import takes longer than that
    import numpy as np
    import numpy.typing as npt

#: Values of fields by name, as pairs, so that descriptions stay frozen and hashable.
FieldValues = tuple[tuple[str, int], ...]

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
        below = max(0, field.low - self.low)
        above = max(0, high - field_high)
        parts = (
            AddressPart(self.low, below, self.physical),
            AddressPart(high - above, above, self.physical + self.width - above),
        )
        return tuple(part for part in parts if part.width)


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
