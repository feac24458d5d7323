# SPDX-License-Identifier: GPL-2.0-only
"""A target by its names, as results have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hvolab.arch.architecture import Target


@dataclass(frozen=True)
class TargetData:
    """Target that the options select, by names."""

    architecture: str
    mode: str
    profile: str
    release: str
    features: tuple[str, ...]


def target_as_dict(target: Target) -> dict[str, Any]:
    """Return the selection as the fields of `TargetData`."""
    names = {"architecture": target.architecture.name, "mode": target.mode.name, "profile": target.profile}
    return {**names, "release": target.release.name, "features": tuple(target.features)}
