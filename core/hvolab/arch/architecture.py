# SPDX-License-Identifier: GPL-2.0-only
"""The description of an architecture, all that a plugin declares, and the selection of a target from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, product
from typing import Literal

from hvolab.arch.emulation import EmulationPart
from hvolab.arch.features import Feature, ReleaseChange, with_features
from hvolab.arch.geometry import PagingMode
from hvolab.arch.mmu import MmuRules
from hvolab.arch.page_flags import PageFlags
from hvolab.arch.pgprot import Pgprot, PgprotRole
from hvolab.arch.reference_values import Example, ModeFigures
from hvolab.arch.selection import Selection
from hvolab.arch.traits import Traits
from hvolab.errors import DescriptionError, EncodingError, UsageError, choice_hint
from hvolab.overrides import named, overridden
from hvolab.release import DEFAULT, RELEASES, KernelRelease, StructPageLayout, release_named


@dataclass(frozen=True)
class ZoneLimit:
    """A memory zone that ends at a fixed PA: its name from ``enum zone_type``, and the first PA above it."""

    name: str
    limit: int


@dataclass(frozen=True)
class Architecture:
    """One architecture.

    name, title  its name on the command line, and its full name
    modes        paging modes, the default one first
    pgprots      protections; of several that a selection has, the first counts
    traits       behavior that the entries do not show
    mmu          permissions and flags
    aliases      other names that are accepted
    profiles     names of the profiles, the default one first
    changes      differences of kernel releases
    page_flags   what kernels have at the top of the flags of a struct page, the first that belongs to a release counts
    features     features that can be selected
    zone_limits  memory zones below the normal one, ascending
    ram_base     PA at which RAM starts on the machines that hvolab builds
    byte_order   of the kernel's data in memory: ``little`` or ``big``
    entry_byte_order  of page-table entries in memory, where the MMU has another one for them; ``None``: that of data
    elf_machine  name of the ELF machine in cores
    emulation    instruction sequences, if a CPU can be emulated
    run_fields   fields that make an entry one of a run that maps one huge page: contiguous hint, NAPOT
    examples     entries that are known to be right, or known to be illegal
    figures      known figures of the modes
    absent       (capability of the conformance kit, reason) of what the description lacks on purpose
    kit          release of the conformance kit that the description was written for
    source       manual or kernel files of the figures
    """

    name: str
    title: str
    modes: tuple[PagingMode, ...]
    pgprots: tuple[Pgprot, ...]
    traits: Traits
    mmu: MmuRules
    aliases: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ("linux", "strict")
    changes: tuple[ReleaseChange, ...] = ()
    page_flags: tuple[PageFlags, ...] = ()
    features: tuple[Feature, ...] = ()
    zone_limits: tuple[ZoneLimit, ...] = ()
    ram_base: int = 0
    byte_order: Literal["little", "big"] = "little"
    entry_byte_order: Literal["little", "big"] | None = None
    elf_machine: str = ""
    emulation: EmulationPart | None = None
    run_fields: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    figures: tuple[ModeFigures, ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    kit: str = "1.0"
    source: str = ""

    def mode(self, name: str | None = None) -> PagingMode:
        """Return the mode of that name (``None``: the default); raises UsageError with the names that exist."""
        return self.modes[0] if name is None else named(self.modes, name, f"{self.name} has no paging mode {name!r}")

    @property
    def releases(self) -> tuple[str, ...]:
        """Names of the releases for which something is declared here, after the default one."""
        declared = [name for pgprot in self.pgprots for name in pgprot.releases]
        return tuple(dict.fromkeys([DEFAULT.name, *declared, *(change.release for change in self.changes)]))

    @property
    def offered(self) -> tuple[KernelRelease, ...]:
        """The releases that can be selected, the default one first."""
        return (DEFAULT, *(each for each in RELEASES if each is not DEFAULT and self.has(each)))

    def has(self, release: KernelRelease) -> bool:
        """Return whether the release can be selected."""
        return release.anywhere or release.name in self.releases

    def release(self, name: str | KernelRelease | None = None) -> KernelRelease:
        """Return the kernel release of that name, ``None``: the default.

        Raises UsageError for one that does not exist, and for one that this architecture does not have.
        """
        release = name if isinstance(name, KernelRelease) else release_named(name)
        if self.has(release):
            return release
        raise UsageError(
            f"{self.name} has no kernel release {release.name!r}",
            rule=f"{release.name}: {release.summary}",
            hint=choice_hint(release.name, map(str, self.offered)),
        )

    def flags_of(self, release: KernelRelease) -> PageFlags | None:
        """Return what a release's kernels have at the top of the flags of a struct page, if it is declared."""
        return next((one for one in self.page_flags if one.belongs_to(release)), None)

    def feature(self, name: str) -> Feature:
        """Return the feature of that name; raises UsageError with the names that exist.

        ``NAME=BIT`` is the feature with its field at that bit, where it has several places.
        """
        plain, equals, bit = name.partition("=")
        found = named(self.features, plain, f"{self.name} has no feature {name!r}")
        if not equals:
            return found
        places = found.places or range(0)
        if not bit.isdecimal() or int(bit) not in places:
            where = f"its bit is one of {places[0]} to {places[-1]}" if places else "its bits cannot be chosen"
            raise UsageError(f"feature {plain!r} cannot be {name!r}", hint=f"choose {plain!r}: {where}")
        return found.at(int(bit))

    def select(
        self,
        mode: str | None = None,
        *,
        profile: str | None = None,
        release: str | KernelRelease | None = None,
        features: tuple[str, ...] = (),
        direct_map_base: int | None = None,
        vmemmap_base: int | None = None,
    ) -> Target:
        """Select a mode, profile, release and features, and resolve the description to one target.

        The bases replace the mode's, for a kernel whose bases KASLR or a boot option has moved.
        Raises UsageError for a name that is not declared.
        """
        declared = tuple(self.feature(name) for name in dict.fromkeys(features))
        selected = self.mode(mode)
        profile = _one_of("profile", profile, self.profiles, self.name)
        kernel = self.release(release)
        for feature in declared:
            if not feature.exists_in(selected.name):
                what = f"feature {feature.name!r} does not exist in mode {selected.name}"
                raise UsageError(what, hint=f"choose one of the modes {', '.join(feature.modes)}")
        if declared:
            selected = with_features(selected, declared)
        bases = {"direct_map_base": direct_map_base, "vmemmap_base": vmemmap_base}
        if moved := {name: base for name, base in bases.items() if base is not None}:
            selected = overridden(selected, tuple(moved.items()))
        selected.check()
        traits, mmu = self.traits, self.mmu
        of_release = [change for change in self.changes if change.release == kernel.name]
        changes: list[ReleaseChange | Feature] = [*of_release, *declared]
        for change in changes:
            traits, mmu = overridden(traits, change.traits), overridden(mmu, change.mmu)
        roles = [role for role in PgprotRole if role is not PgprotRole.KERNEL_EXEC or self.emulation is not None]
        return Target(
            mode=selected,
            profile=profile,
            release=kernel,
            features=tuple(feature.name for feature in declared),
            pgprots=tuple((role, self._resolve(role, selected.name, profile, kernel.name, declared)) for role in roles),
            optional=frozenset(name for feature in declared for name, _ in feature.sets),
            traits=traits,
            mmu=mmu,
            architecture=self,
        )

    def check(self) -> None:
        """Raise DescriptionError if the description contradicts itself; features are selected by check_features()."""
        if not self.name or not self.modes:
            raise DescriptionError("an architecture needs a name and at least one paging mode", where=self.name)
        orders = {"byte order": self.byte_order, "byte order of entries": self.entry_byte_order or self.byte_order}
        for title, order in orders.items():
            if order not in {"little", "big"}:
                raise DescriptionError(f"{title} {order!r} is neither little nor big", where=self.name)
        parts: dict[str, tuple[PagingMode, ...] | tuple[Feature, ...]] = {"mode": self.modes, "feature": self.features}
        for title, members in parts.items():
            names = [member.name for member in members]
            if len(set(names)) != len(names):
                raise DescriptionError(f"two {title}s of {self.name} have the same name", where=", ".join(names))
        if self.emulation is not None:
            self.emulation.check()
        for mode in self.modes:
            mode.check()
            if self.emulation is not None and mode.text_base is None:
                what = f"mode {mode.name} does not declare the base of the kernel's image"
                hint = "declare PagingMode.text_base: guest text is mapped there"
                raise DescriptionError(what, where=self.name, hint=hint)
        for feature in self.features:
            feature.check(self.name, self.modes)
        of_releases: tuple[Pgprot | ReleaseChange | PageFlags, ...]
        of_releases = *self.pgprots, *self.changes, *self.page_flags
        for declared in of_releases:
            declared.check(self.name)
        for mode, profile, release in product(self.modes, self.profiles, self.releases):
            self._check_target(mode, profile, release)

    def check_features(self) -> None:
        """Raise DescriptionError if a feature, or two of them together, cannot be selected in a mode that has them."""
        for mode in self.modes:
            names = [feature.name for feature in self.features if feature.exists_in(mode.name)]
            for chosen in (*combinations(names, 1), *combinations(names, 2)):
                self._check_target(mode, features=chosen)

    def _check_target(
        self, mode: PagingMode, profile: str | None = None, release: str | None = None, features: tuple[str, ...] = ()
    ) -> None:
        """Check that a selection has a legal entry of every protection that HVO uses."""
        try:
            target = self.select(mode.name, profile=profile, release=release, features=features)
            for role, _ in target.pgprots:
                if role is not PgprotRole.TABLE:
                    large = role is PgprotRole.KERNEL_LARGE
                    target.leaf(target.mode.direct_map_level if large else mode.last.name, 0, role)
            for level in target.mode.levels[:-1]:
                target.table(level.name, 0)
        except EncodingError as error:
            choice = [f"profile {profile}"] * bool(profile) + [f"release {release}"] * bool(release) + [*features]
            where = ", ".join([f"{self.name} {mode.name}", *choice])
            raise DescriptionError(error.what, where=where, rule=error.rule, hint=error.hint) from error

    def _resolve(
        self, role: PgprotRole, mode: str, profile: str, release: str, features: tuple[Feature, ...]
    ) -> Pgprot:
        for pgprot in self.pgprots:
            if pgprot.role is role and pgprot.belongs_to(mode, profile, release):
                cleared = {name for feature in features for name in feature.clears}
                return pgprot.changed(cleared, tuple(pair for feature in features for pair in feature.sets))
        raise DescriptionError(f"{self.name} declares no {role.value} for profile {profile} and release {release}")


@dataclass(frozen=True)
class Target(Selection):
    """A selection with its architecture: the input from which a machine is built; see :meth:`Architecture.select`."""

    architecture: Architecture = field(kw_only=True)

    @property
    def entry_byte_order(self) -> Literal["little", "big"]:
        """Byte order of page-table entries in memory."""
        return self.architecture.entry_byte_order or self.architecture.byte_order

    @cached_property
    def struct_page(self) -> StructPageLayout:
        """Layout of struct page in the release's kernels for this architecture."""
        layout = self.release.struct_page
        flags = self.architecture.flags_of(self.release)
        return layout if flags is None else flags.applied(layout)

    def __str__(self) -> str:
        features = f" +{','.join(self.features)}" if self.features else ""
        return f"{self.architecture.name} {self.mode.name} {self.profile} {self.release}{features}"


def _one_of(title: str, name: str | None, offered: tuple[str, ...], architecture: str) -> str:
    if name is None:
        return offered[0]
    if name not in offered:
        raise UsageError(f"{architecture} has no {title} {name!r}", hint=choice_hint(name, offered))
    return name
