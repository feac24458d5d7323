# SPDX-License-Identifier: GPL-2.0-only
"""Features of a machine or boot, and changes of a kernel release, as changes to a description."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hvolab.arch.entry import EntryForm, EntryKind, EntryRule, Field, FieldValues
from hvolab.arch.geometry import PagingMode
from hvolab.arch.mmu import MmuRules
from hvolab.arch.traits import Traits
from hvolab.overrides import Overrides, check_change, check_name, check_overrides, overridden
from hvolab.release import RELEASES


@dataclass(frozen=True)
class Feature:
    """A property of a machine or a boot, and the bits that it changes.

    name              value of ``--feature``
    summary           one line
    adds              fields that exist only with it; they take their bits from the address or from reserved bits
    places            bits at which its one added field may be, by ``NAME=BIT``; None: it is where ``adds`` has it
    adds_to           the kinds of entries that get these fields
    rules             rules that these kinds of entries must keep with it
    forms             forms of entries that exist only with it
    sets              values that every pgprot gets if its form has the field
    clears            fields that every pgprot loses
    huge_page_levels  huge page sizes that exist only with it
    geometry          (paging mode, overrides of PagingMode in it), applied before anything else
    traits, mmu       overrides of Traits and MmuRules
    modes             paging modes in which it exists; empty: all
    source            manual section or kernel file
    """

    name: str
    summary: str
    adds: tuple[Field, ...] = ()
    places: range | None = None
    adds_to: tuple[EntryKind, ...] = (EntryKind.TABLE, EntryKind.LEAF)
    rules: tuple[EntryRule, ...] = ()
    forms: tuple[EntryForm, ...] = ()
    sets: FieldValues = ()
    clears: tuple[str, ...] = ()
    huge_page_levels: tuple[tuple[str, int], ...] = ()
    geometry: tuple[tuple[str, Overrides], ...] = ()
    traits: Overrides = ()
    mmu: Overrides = ()
    modes: tuple[str, ...] = ()
    source: str = ""

    def at(self, bit: int) -> Feature:
        """Return the feature with its field at another bit."""
        (field,) = self.adds
        return self if bit == field.low else replace(self, name=f"{self.name}={bit}", adds=(replace(field, low=bit),))

    def applied(self, mode: PagingMode) -> PagingMode:
        """Return the mode on a machine or boot that has this feature alone."""
        return with_features(mode, (self,))

    def exists_in(self, mode: str) -> bool:
        """Return whether the paging mode of that name can have the feature."""
        return not self.modes or mode in self.modes

    def check(self, architecture: str, modes: tuple[PagingMode, ...]) -> None:
        """Raise DescriptionError for a value of the wrong type, and for a name or override that does not exist."""
        where = f"{architecture}, feature {self.name!r}"
        check_change(self, where, traits=Traits, mmu=MmuRules)
        names = [mode.name for mode in modes]
        for name in (*self.modes, *(mode for mode, _ in self.geometry)):
            check_name("paging mode", name, names, where)
        for _, overrides in self.geometry:
            check_overrides(PagingMode, overrides, where)
        formats = [self.applied(mode).format for mode in modes if self.exists_in(mode.name)]
        fields = {name: None for entries in formats for form in entries.forms for name in form.by_name}
        for name in (*self.clears, *(name for name, _ in self.sets)):
            check_name("field of an entry", name, fields, where)


def with_features(mode: PagingMode, features: tuple[Feature, ...]) -> PagingMode:
    """Return the mode on a machine or boot that has these features; their order does not matter to its entries."""
    for feature in features:
        mode = overridden(mode, dict(feature.geometry).get(mode.name, ()))
    forms = [*(form for feature in features for form in feature.forms), *mode.format.forms]  # recognized in this order
    for feature in features:  # after all forms: those of another feature get the fields too
        forms = [form.extended(feature.adds, feature.rules) if form.kind in feature.adds_to else form for form in forms]
    sizes = tuple(size for feature in features for size in feature.huge_page_levels)
    software = mode.format.software
    for feature in features:
        if EntryKind.LEAF in feature.adds_to:
            software = tuple(kind.extended(feature.adds) for kind in software)
    entries = replace(mode.format, forms=tuple(forms), software=software)
    return replace(mode, format=entries, huge_page_levels=(*sizes, *mode.huge_page_levels))


@dataclass(frozen=True)
class ReleaseChange:
    """A difference of one kernel release from the description, pgprots aside.

    release      its name
    summary      one line
    traits, mmu  overrides of Traits and MmuRules
    source       kernel file or series
    commit       short id, subject, release; empty where it is not known
    """

    release: str
    summary: str
    traits: Overrides = ()
    mmu: Overrides = ()
    source: str = ""
    commit: str = ""

    def check(self, architecture: str) -> None:
        """Raise DescriptionError for a release that does not exist, and for an override that does not exist."""
        where = f"{architecture}, change of release {self.release!r}"
        check_change(self, where, traits=Traits, mmu=MmuRules)
        check_name("release", self.release, map(str, RELEASES), where)
