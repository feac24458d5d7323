# SPDX-License-Identifier: GPL-2.0-only
"""Selection of the targets to verify: those that the options choose and the emulator can emulate."""

from __future__ import annotations

from hvolab.arch import Target
from hvolab.errors import UsageError, choice_hint
from hvolab.plugin import registry

#: Targets that cannot be emulated, each with the reason.
Refused = list[tuple[Target, str]]


def select(
    arch: list[str] | None,
    mode: list[str] | None,
    profile: str | None,
    feature: list[str] | None,
    *,
    release: str | None = None,
) -> tuple[list[Target], Refused]:
    """Return the targets that the options choose and that can be emulated, and the others.

    Raises UsageError for a name that is not declared, and where none of the targets can be emulated.
    """
    known = registry()
    architectures = [known.architecture(name) for name in arch] if arch else list(known.architectures().values())
    offered = {one.name for architecture in architectures for one in architecture.modes}
    if unknown := [name for name in mode or () if name not in offered]:
        raise UsageError(f"unknown paging mode {unknown[0]!r}", hint=choice_hint(unknown[0], sorted(offered)))
    features = tuple(name.strip() for item in feature or () for name in item.split(",") if name.strip())
    targets: list[Target] = []
    refused: Refused = []
    for architecture in architectures:
        part = architecture.emulation
        for name in [one.name for one in architecture.modes if not mode or one.name in mode]:
            target = architecture.select(name, profile=profile, release=release, features=features)
            reason = "the architecture declares no instructions" if part is None else part.refusal(target)
            if reason:
                refused.append((target, reason))
            else:
                targets.append(target)
    if not targets:
        reasons = "; ".join(f"{target}: {reason}" for target, reason in refused)
        raise UsageError(
            f"no target can be emulated: {reasons}", hint="choose by --arch and --mode, see `hvolab arches`"
        )
    return targets, refused
