# SPDX-License-Identifier: GPL-2.0-only
"""A target whose folios have few tails, and the kinds of mismatches of a verification."""

from __future__ import annotations

from hvolab.arch import Target
from hvolab.plugin import registry
from hvolab_unicorn.verify import Verification


def target_of(architecture: str, mode: str, profile: str | None = None, release: str | None = None) -> Target:
    return registry().architecture(architecture).select(mode, profile=profile, release=release)


def few() -> Target:
    return target_of("arm64", "64K-42bit")


def mismatching(found: Verification) -> set[str]:
    return {mismatch.what for mismatch in found.mismatches}
