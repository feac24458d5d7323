# SPDX-License-Identifier: GPL-2.0-only
"""Differences between kernel releases, as data: code of HVO and hugetlb, struct page, GFP flags, features of images."""

from __future__ import annotations

from hvolab.release.features import Evidence, KernelFeature, Question
from hvolab.release.free_checks import FreeChecks
from hvolab.release.hugetlb import HugetlbVariant
from hvolab.release.kernel_release import KernelChange, KernelRelease
from hvolab.release.releases import DEFAULT, RELEASES, departures_of, release_named
from hvolab.release.struct_page import FolioField, FolioStore, FolioValue, StructPageLayout, WordPlace
from hvolab.release.variant import HvoVariant

__all__ = [
    "DEFAULT",
    "RELEASES",
    "Evidence",
    "FolioField",
    "FolioStore",
    "FolioValue",
    "FreeChecks",
    "HugetlbVariant",
    "HvoVariant",
    "KernelChange",
    "KernelFeature",
    "KernelRelease",
    "Question",
    "StructPageLayout",
    "WordPlace",
    "departures_of",
    "release_named",
]
