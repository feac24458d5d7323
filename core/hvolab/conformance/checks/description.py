# SPDX-License-Identifier: GPL-2.0-only
"""The description as a whole: every selection that it offers resolves, and no part of it is without effect."""

from __future__ import annotations

from hvolab.conformance.capabilities import CAPABILITY_NAMES
from hvolab.conformance.check import Checks, require
from hvolab.conformance.subject import Scope, Subject, subjects
from hvolab.conformance.version import KIT, parse_release
from hvolab.overrides import check_name

checks = Checks()


@checks.add(Scope.ARCHITECTURE)
def the_description_is_sound(subject: Subject) -> None:
    """Every mode, profile, release and feature can be selected, and contradicts nothing."""
    for offered in subjects(subject.architecture, Scope.TARGET):
        require(offered.target.mode.levels, "a mode without levels", where=offered)
    subject.architecture.check()
    subject.architecture.check_features()


@checks.add(Scope.ARCHITECTURE, apart=True)
def reference_values_name_declared_items(subject: Subject) -> None:
    """Examples and figures are about declared modes, levels, profiles, releases and features."""
    architecture = subject.architecture
    for known in architecture.examples:
        mode = architecture.mode(known.mode)
        mode.level(known.level)
        size = mode.format.entry_bits // 8
        whole = isinstance(known.raw, int) or len(known.raw) == size
        require(whole, f"an entry has {size} bytes, and the example another number", where=known)
        for title, selected, offered in (
            ("profile", known.profile, architecture.profiles),
            ("release", known.release, architecture.releases),
        ):
            require(selected is None or selected in offered, f"there is no {title} {selected!r}", where=known)
        for name in known.features:
            architecture.feature(name)
    for figures in architecture.figures:
        architecture.mode(figures.mode)
        for name in figures.features:
            architecture.feature(name)


@checks.add(Scope.ARCHITECTURE, apart=True)
def the_kit_release_exists(subject: Subject) -> None:
    """The kit that the plugin was written for is not newer than this one."""
    written_for = subject.architecture.kit
    require(
        parse_release(written_for) <= parse_release(KIT),
        f"the plugin was written for kit {written_for}, and this is {KIT}",
        where="Architecture.kit",
        hint="install a newer hvolab, or name the release that the plugin was tried with",
    )


@checks.add(Scope.ARCHITECTURE)
def every_feature_changes_something(subject: Subject) -> None:
    """A declared feature changes bits, forms, sizes or behavior."""
    for feature in subject.architecture.features:
        changes = (*feature.adds, *feature.forms, *feature.sets, *feature.clears, *feature.huge_page_levels)
        require(
            changes or feature.geometry or feature.traits or feature.mmu,
            f"feature {feature.name!r} changes nothing",
            hint="declare the fields that it adds, sets or clears, or leave it out",
        )


@checks.add(Scope.ARCHITECTURE, apart=True)
def what_is_absent_on_purpose_has_a_reason(subject: Subject) -> None:
    """A capability that the description lacks on purpose is one of the kit's, and has a reason."""
    for name, reason in subject.architecture.absent:
        check_name("capability", name, CAPABILITY_NAMES, "Architecture.absent")
        require(reason, f"no reason is given for which {name} is absent", where="Architecture.absent")
