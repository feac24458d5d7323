# SPDX-License-Identifier: GPL-2.0-only
"""Differences between kernel releases, as data: HVO's code, struct page, allocation flags, features of images."""

from __future__ import annotations

from hvolab.release.features import Evidence, KernelFeature, Question
from hvolab.release.releases import (
    DEFAULT,
    MM_2026,
    RELEASES,
    V6_1,
    V6_12,
    V6_12_117,
    V7_2,
    KernelChange,
    KernelRelease,
    release_named,
)
from hvolab.release.struct_page import StructPageLayout
from hvolab.release.variant import HvoVariant

__all__ = [
    "DEFAULT",
    "MM_2026",
    "RELEASES",
    "V6_1",
    "V6_12",
    "V6_12_117",
    "V7_2",
    "Evidence",
    "HvoVariant",
    "KernelChange",
    "KernelFeature",
    "KernelRelease",
    "Question",
    "StructPageLayout",
    "release_named",
]
