"""The description of an architecture: everything that a plugin declares, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hvolab.arch.emulation import EmulationPart
from hvolab.arch.entry import EntryForm, EntryKind
from hvolab.arch.fields import Field, FieldValues
from hvolab.arch.geometry import PagingMode
from hvolab.arch.mmu import MmuRules
from hvolab.arch.pgprot import Pgprot, PgprotRole
from hvolab.arch.reference_values import Example, ModeFigures
from hvolab.arch.target import Target
from hvolab.arch.traits import Traits
from hvolab.errors import DescriptionError, EncodingError, UsageError


@dataclass(frozen=True)
class Feature:
    """What a machine or a boot has, and the bits that it changes.

    name     what ``--feature`` takes
    summary  one line
    adds     fields that exist only with it; they take their bits from the address
    adds_to  the kinds of entries that get these fields
    forms    forms of entries that exist only with it
    sets     values that every pgprot gets where its form has the field
    clears   fields that every pgprot loses
    huge_page_levels  huge page sizes that exist only with it
    geometry          (paging mode, attributes of PagingMode that it changes there), before anything else
    traits, mmu       attributes of Traits and MmuRules that it changes
    modes    paging modes that it exists in; empty: all
    source   manual section or kernel file
    """

    name: str
    summary: str
    adds: tuple[Field, ...] = ()
    adds_to: tuple[EntryKind, ...] = (EntryKind.TABLE, EntryKind.LEAF)
    forms: tuple[EntryForm, ...] = ()
    sets: FieldValues = ()
    clears: tuple[str, ...] = ()
    huge_page_levels: tuple[tuple[str, int], ...] = ()
    geometry: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...] = ()
    traits: tuple[tuple[str, Any], ...] = ()
    mmu: tuple[tuple[str, Any], ...] = ()
    modes: tuple[str, ...] = ()
    source: str = ""

    def applied(self, mode: PagingMode) -> PagingMode:
        """The mode on a machine or boot that has the feature."""
        mode = replace(mode, **dict(dict(self.geometry).get(mode.name, ())))
        return replace(
            mode,
            format=mode.format.with_fields(self.adds, self.adds_to).with_forms(self.forms),
            huge_page_levels=(*self.huge_page_levels, *mode.huge_page_levels),
        )


@dataclass(frozen=True)
class ReleaseChange:
    """What a kernel release does differently, beside its pgprots.

    release   its name
    summary      one line
    traits, mmu  attributes of Traits and MmuRules that it changes
    source       series or commit
    """

    release: str
    summary: str
    traits: tuple[tuple[str, Any], ...] = ()
    mmu: tuple[tuple[str, Any], ...] = ()
    source: str = ""


@dataclass(frozen=True)
class ZoneLimit:
    """A memory zone that ends at a fixed PA: its name as in ``enum zone_type``, and the first PA beyond it."""

    name: str
    limit: int


@dataclass(frozen=True)
class Architecture:
    """One architecture.

    name, title  what the command line and a reader call it
    aliases      other names that are accepted
    modes        paging modes, the default one first
    profiles     names of the profiles, the default one first
    releases  kernel releases whose bits are declared, the default one first
    changes      what kernel releases do differently
    pgprots      protections; the first that belongs to profile and release counts
    features     features that may be switched on
    traits       behavior that the entries do not tell
    mmu          what accesses need
    zone_limits  memory zones below the normal one, ascending
    ram_base     PA at which RAM starts on the machines that hvolab builds
    byte_order   of entries in memory: ``little`` or ``big``
    elf_machine  name of the ELF machine in cores
    emulation    instruction sequences, where an emulated CPU can exist
    run_fields   fields that make an entry one of a run that maps one huge page: contiguous hint, NAPOT
    examples     entries that are known to be right, or known to be illegal
    figures      what is known of the modes
    kit          release of the conformance kit that the description was written for
    source       where the figures come from
    """

    name: str
    title: str
    modes: tuple[PagingMode, ...]
    pgprots: tuple[Pgprot, ...]
    traits: Traits
    mmu: MmuRules
    aliases: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ("linux", "strict")
    releases: tuple[str, ...] = ("6.12",)
    changes: tuple[ReleaseChange, ...] = ()
    features: tuple[Feature, ...] = ()
    zone_limits: tuple[ZoneLimit, ...] = ()
    ram_base: int = 0
    byte_order: str = "little"
    elf_machine: str = ""
    emulation: EmulationPart | None = None
    run_fields: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    figures: tuple[ModeFigures, ...] = ()
    kit: str = "1.0"
    source: str = ""

    def mode(self, name: str | None = None) -> PagingMode:
        """The mode of that name (``None``: the default); raises UsageError with the names that there are."""
        if name is None:
            return self.modes[0]
        for mode in self.modes:
            if mode.name == name:
                return mode
        raise UsageError(
            f"{self.name} has no paging mode {name!r}",
            hint="the modes are " + ", ".join(mode.name for mode in self.modes),
        )

    def feature(self, name: str) -> Feature:
        """The feature of that name; raises UsageError with the names that there are."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise UsageError(
            f"{self.name} has no feature {name!r}",
            hint="the features are " + (", ".join(feature.name for feature in self.features) or "none"),
        )

    def select(
        self,
        mode: str | None = None,
        *,
        profile: str | None = None,
        release: str | None = None,
        features: tuple[str, ...] = (),
        direct_map_base: int | None = None,
        vmemmap_base: int | None = None,
    ) -> Target:
        """Choose a mode, profile, release and features, and resolve the description to one target.

        The bases replace the mode's where KASLR or a boot has moved them.
        Raises UsageError for a name that is not declared.
        """
        chosen = self.mode(mode)
        profile = _one_of("profile", profile, self.profiles, self.name)
        release = _one_of("release", release, self.releases, self.name)
        declared = tuple(self.feature(name) for name in dict.fromkeys(features))
        for feature in declared:
            if feature.modes and chosen.name not in feature.modes:
                raise UsageError(
                    f"feature {feature.name!r} does not exist in mode {chosen.name}",
                    hint="it exists in " + ", ".join(feature.modes),
                )
            chosen = feature.applied(chosen)
        if direct_map_base is not None:
            chosen = replace(chosen, direct_map_base=direct_map_base)
        if vmemmap_base is not None:
            chosen = replace(chosen, vmemmap_base=vmemmap_base)
        chosen.check()
        roles = [role for role in PgprotRole if role is not PgprotRole.KERNEL_EXEC or self.emulation is not None]
        prots = {role: self._resolve(role, chosen.name, profile, release, declared) for role in roles}
        names = tuple(feature.name for feature in declared)
        traits, mmu = self.traits, self.mmu
        of_release = [change for change in self.changes if change.release == release]
        changes: list[ReleaseChange | Feature] = [*of_release, *declared]
        for change in changes:
            traits, mmu = replace(traits, **dict(change.traits)), replace(mmu, **dict(change.mmu))
        return Target(self, chosen, profile, release, names, tuple(prots.items()), traits, mmu)

    def check(self) -> None:
        """Raise DescriptionError where the description contradicts itself."""
        if not self.name or not self.modes:
            raise DescriptionError("an architecture needs a name and at least one paging mode", where=self.name)
        if self.byte_order not in {"little", "big"}:
            raise DescriptionError(f"byte order {self.byte_order!r} is neither little nor big", where=self.name)
        for title, names in (
            ("mode", [mode.name for mode in self.modes]),
            ("feature", [feature.name for feature in self.features]),
        ):
            if len(set(names)) != len(names):
                raise DescriptionError(f"two {title}s of {self.name} have the same name", where=", ".join(names))
        if self.emulation is not None:
            self.emulation.check()
        for mode in self.modes:
            mode.check()
            if self.emulation is not None and mode.text_base is None:
                raise DescriptionError(
                    f"mode {mode.name} does not say where the kernel's image is",
                    where=self.name,
                    hint="declare PagingMode.text_base: guest text is mapped there",
                )
            for profile in self.profiles:
                for release in self.releases:
                    self._check_target(mode, profile, release)

    def _check_target(self, mode: PagingMode, profile: str, release: str) -> None:
        try:
            target = self.select(mode.name, profile=profile, release=release)
            for role, name in (
                (PgprotRole.KERNEL, mode.last.name),
                (PgprotRole.KERNEL_RO, mode.last.name),
                (PgprotRole.KERNEL_LARGE, mode.direct_map_level),
            ):
                target.leaf(name, 0, role)
            if self.emulation is not None:
                target.leaf(mode.last.name, 0, PgprotRole.KERNEL_EXEC)
            for level in mode.levels[:-1]:
                target.table(level.name, 0)
        except EncodingError as error:
            where = f"{self.name} {mode.name}, profile {profile}, release {release}"
            raise DescriptionError(f"a declared pgprot is not legal: {error.what}", where=where) from error

    def _resolve(
        self, role: PgprotRole, mode: str, profile: str, release: str, features: tuple[Feature, ...]
    ) -> Pgprot:
        for pgprot in self.pgprots:
            if pgprot.role is role and pgprot.belongs_to(mode, profile, release):
                cleared = {name for feature in features for name in feature.clears}
                kept = dict(pair for pair in pgprot.fields if pair[0] not in cleared)
                for feature in features:
                    kept.update(feature.sets)
                return replace(pgprot, fields=tuple(kept.items()))
        raise DescriptionError(f"{self.name} declares no {role.value} for profile {profile} and release {release}")


def _one_of(title: str, name: str | None, offered: tuple[str, ...], architecture: str) -> str:
    if name is None:
        return offered[0]
    if name not in offered:
        raise UsageError(f"{architecture} has no {title} {name!r}", hint=f"what it has: {', '.join(offered)}")
    return name
