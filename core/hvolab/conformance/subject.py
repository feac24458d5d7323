"""What a check is about: an architecture as a whole, one of its modes, or one target."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from hvolab.arch import Architecture, PagingMode, Target
from hvolab.errors import HvolabError


class Scope(enum.Enum):
    """How often a check is made."""

    ARCHITECTURE = "once"
    MODE = "for each paging mode"
    FORMAT = "for each paging mode, and with each feature singly"
    TARGET = "for each mode, profile and release, and with each feature singly"
    DISTINCT = "for each mode, and each choice of profile, release or feature that changes what entries allow or do"


@dataclass(frozen=True)
class Subject:
    """One thing that a check is about.

    architecture  the description
    mode_name     name of the mode; empty for the architecture as a whole
    profile, release, features  what is selected; ``None``: the default
    """

    architecture: Architecture
    mode_name: str = ""
    profile: str | None = None
    release: str | None = None
    features: tuple[str, ...] = ()

    @property
    def mode(self) -> PagingMode:
        """The mode as it is declared, whether or not it agrees with itself."""
        return self.architecture.mode(self.mode_name)

    @cached_property
    def target(self) -> Target:
        """What is selected, resolved; raises DescriptionError or EncodingError where the description is not sound."""
        return self.architecture.select(
            self.mode_name, profile=self.profile, release=self.release, features=self.features
        )

    @property
    def is_default(self) -> bool:
        """Whether only the mode is chosen."""
        return (self.profile, self.release, self.features) == (None, None, ())

    @property
    def choice(self) -> str:
        """Profile, release and features in words; empty where they are the default."""
        words = [word for word in (self.profile, self.release) if word is not None]
        return " ".join([*words, *(f"+{feature}" for feature in self.features)])

    def __str__(self) -> str:
        return " ".join(word for word in (self.architecture.name, self.mode_name, self.choice) if word)


def subjects(architecture: Architecture, scope: Scope) -> Iterator[Subject]:
    """Everything that a check of ``scope`` is made for."""
    if scope is Scope.ARCHITECTURE:
        yield Subject(architecture)
        return
    for mode in architecture.modes:
        chosen = [Subject(architecture, mode.name)]
        if scope in {Scope.TARGET, Scope.DISTINCT}:
            chosen += [
                Subject(architecture, mode.name, profile, release)
                for profile, release in product(architecture.profiles, architecture.releases)
                if (profile, release) != (architecture.profiles[0], architecture.releases[0])
            ]
        if scope is not Scope.MODE:
            chosen += [
                Subject(architecture, mode.name, features=(feature.name,))
                for feature in architecture.features
                if not feature.modes or mode.name in feature.modes
            ]
        yield from _distinct(chosen) if scope is Scope.DISTINCT else chosen


def _distinct(chosen: list[Subject]) -> Iterator[Subject]:
    """Those that differ from each one before in more than bits that nothing looks at; all that resolve to nothing."""
    seen: list[object] = []
    for subject in chosen:
        try:
            target = subject.target
        except HvolabError:
            yield subject  # another check tells of it
            continue
        resolved = (target.mode, target.traits, target.mmu, target.tails_fault)
        if resolved not in seen:
            seen.append(resolved)
            yield subject
