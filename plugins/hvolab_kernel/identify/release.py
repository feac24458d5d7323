# SPDX-License-Identifier: GPL-2.0-only
"""Release that a kernel is taken for: the one that has its features, the nearest, or the one that the user names."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.errors import UsageError
from hvolab.release import RELEASES, KernelRelease
from hvolab_kernel.identify.features import Answer, features_of
from hvolab_vmlinux.kernel import Kernel


@dataclass(frozen=True)
class Identification:
    """Release that a kernel is taken for, and the reason.

    release    the release
    found      the release that has all features of the kernel; None: no known release has
    nearest    the release from which the kernel differs in the fewest features
    differing  features in which kernel and release differ
    """

    release: KernelRelease
    found: KernelRelease | None
    nearest: KernelRelease
    differing: tuple[Answer, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for a report: the reason, and each differing feature; none where no feature differs."""
        if not self.differing:
            return ()
        has = f"The kernel has the features of {self.found or 'no known release'}"
        if self.release is self.nearest:
            reason = f"{has}, and is taken for the nearest, {self.release}. --release names another one."
        else:
            reason = f"{has}, and is taken for {self.release} because of --release."
        return (reason, *self.differences)

    @property
    def differences(self) -> tuple[str, ...]:
        """Each differing feature, with its evidence and the changes that brought or removed it."""
        return tuple(
            f"{evidence}. {' '.join(_changes_of(one))}"
            for one, evidence in zip(self.differing, self.evidence, strict=True)
        )

    @property
    def evidence(self) -> tuple[str, ...]:
        """Each differing feature, with its evidence."""
        return tuple(
            f"{one.name}: {_YES_NO[bool(one.present)]} in the image ({one.found}), "
            f"{_YES_NO[not one.present]} in {self.release}"
            for one in self.differing
        )


_YES_NO = ("no", "yes")


def identify(kernel: Kernel, named: KernelRelease | None = None) -> Identification:
    """Return the release that a kernel is taken for: the named one, else that of its features, else the nearest.

    Raises UsageError for a kernel without HVO.
    """
    features = features_of(kernel)
    nearest = features.nearest
    if nearest is None:
        raise UsageError(
            f"the engine does not model this kernel's HVO: {features.summary}",
            where=kernel.image.release,
            rule="a kernel's HVO is identified by features of its image, not by its release",
            hint=f"use a kernel whose HVO is as in {', '.join(map(str, RELEASES))}",
        )
    release = named or nearest
    return Identification(release, features.release, nearest, features.against(release))


def require_agreement(kernel: Kernel, identification: Identification) -> None:
    """Raise UsageError if the release differs from that of the kernel's features."""
    found, release = identification.found, identification.release
    if found is not None and identification.differing:
        raise UsageError(
            f"the image has HVO as in {found}, which differs from {release}",
            where=kernel.image.release,
            rule="; ".join(identification.evidence),
            hint=f"leave out --release, or compare with the model of {release}: hvolab kernel --release {release}",
        )


def release_of(kernel: Kernel) -> KernelRelease:
    """Return the release that a kernel is taken for by its features; raises UsageError for a kernel without HVO."""
    return identify(kernel).release


def _changes_of(answer: Answer) -> tuple[str, ...]:
    """Return the changes that brought a feature or removed it, each with its release and commit."""
    return tuple(
        f"{release}: {change}"
        for release in RELEASES
        for change in release.changes
        if answer.feature in change.gains | change.loses
    )
