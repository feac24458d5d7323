# SPDX-License-Identifier: GPL-2.0-only
"""Subjects of checks: an architecture as a whole, one of its modes, or one target."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from hvolab.arch import Architecture, PagingMode, Target
from hvolab.errors import HvolabError


class Scope(enum.Enum):
    """Subjects of a check."""

    ARCHITECTURE = "once"
    MODE = "for each paging mode"
    FORMAT = "for each paging mode, and with each feature singly"
    TARGET = "for each mode, profile and release, and with each feature singly"
    DISTINCT = "for each mode, and each choice of profile, release or feature that changes what entries allow or do"

    def subjects_within(self, subject: Subject, scope: Scope) -> Iterator[Subject]:
        """Yield the subjects of this scope that are parts of a subject of ``scope``, or of which that is a part."""
        architecture, mode = subject.architecture, subject.mode_name
        if scope in {Scope.ARCHITECTURE, Scope.MODE}:
            yield from (one for one in subjects(architecture, self) if not mode or one.mode_name in {mode, ""})
        elif self is Scope.ARCHITECTURE:
            yield Subject(architecture)
        elif self is Scope.MODE:
            yield subject.plain
        else:
            yield replace(subject, profile=None, release=None) if self is Scope.FORMAT else subject


@dataclass(frozen=True)
class Subject:
    """One subject of a check.

    architecture  the description
    mode_name     name of the mode; empty for the architecture as a whole
    profile, release, features  the selection; `None`: the default
    """

    architecture: Architecture
    mode_name: str = ""
    profile: str | None = None
    release: str | None = None
    features: tuple[str, ...] = ()

    @property
    def mode(self) -> PagingMode:
        """The declared mode, before features change it, sound or not."""
        return self.architecture.mode(self.mode_name)

    @cached_property
    def target(self) -> Target:
        """The selected target; raises DescriptionError or EncodingError for a description that is not sound."""
        return self.architecture.select(
            self.mode_name, profile=self.profile, release=self.release, features=self.features
        )

    @property
    def plain(self) -> Subject:
        """The mode, or the architecture, without a choice."""
        return Subject(self.architecture, self.mode_name)

    @property
    def choice(self) -> str:
        """Profile, release and features in words; empty for the defaults."""
        words = [word for word in (self.profile, self.release) if word is not None]
        return " ".join([*words, *(f"+{feature}" for feature in self.features)])

    def __str__(self) -> str:
        return " ".join(word for word in (self.architecture.name, self.mode_name, self.choice) if word)


def subjects(architecture: Architecture, scope: Scope) -> Iterator[Subject]:
    """Yield every subject of a check of `scope`."""
    if scope is Scope.ARCHITECTURE:
        yield Subject(architecture)
        return
    for mode in architecture.modes:
        selected = [Subject(architecture, mode.name)]
        if scope in {Scope.TARGET, Scope.DISTINCT}:
            selected += [
                Subject(architecture, mode.name, profile, release)
                for profile, release in product(architecture.profiles, architecture.releases)
                if (profile, release) != (architecture.profiles[0], architecture.releases[0])
            ]
        if scope is not Scope.MODE:
            selected += [
                Subject(architecture, mode.name, features=(feature.name,))
                for feature in architecture.features
                if not feature.modes or mode.name in feature.modes
            ]
        yield from _distinct(selected) if scope is Scope.DISTINCT else selected


def _distinct(selected: list[Subject]) -> Iterator[Subject]:
    """Yield the subjects whose target differs from all before in what entries allow or do, or cannot be selected."""
    seen: list[object] = []
    for subject in selected:
        try:
            target = subject.target
        except HvolabError:
            yield subject  # another check reports it
            continue
        resolved = (target.mode, target.traits, target.mmu, target.tails_fault)
        if resolved not in seen:
            seen.append(resolved)
            yield subject
