# SPDX-License-Identifier: GPL-2.0-only
"""Releases are built of changes, from which their differences, facts and features follow."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from hvolab.errors import UsageError
from hvolab.overrides import check_types
from hvolab.release import (
    DEFAULT,
    MM_2026,
    RELEASES,
    V6_1,
    V6_12,
    V6_12_117,
    V7_2,
    HvoVariant,
    KernelFeature,
    KernelRelease,
    StructPageLayout,
    release_named,
)
from hvolab.release.gfp import GFP_KERNEL, GFP_VMEMMAP_HEAD


def test_releases_are_found_by_name() -> None:
    assert release_named(None) is DEFAULT is V6_12
    assert [release_named(str(release)) for release in RELEASES] == list(RELEASES)
    with pytest.raises(UsageError, match=r"does not know the kernel release '5.4'") as caught:
        release_named("5.4")
    assert caught.value.hint == "choose one of 6.1, 6.12, 6.12.117, 7.2, mm-2026"


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_facts_are_of_their_types(release: KernelRelease) -> None:
    check_types(release.variant, release.name)
    check_types(release.struct_page, release.name)


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_every_fact_that_differs_from_the_release_before_is_set_by_a_change(release: KernelRelease) -> None:
    before = release.before
    if before is None:
        assert release.changes == ()
        return
    for kind in (HvoVariant, StructPageLayout):
        attribute = "variant" if kind is HvoVariant else "struct_page"
        ours, theirs = getattr(release, attribute), getattr(before, attribute)
        differing = {each.name for each in fields(kind) if getattr(ours, each.name) != getattr(theirs, each.name)}
        assert differing == {name for change in release.changes for name, _ in getattr(change, attribute)}


def test_every_change_is_a_sentence_and_a_commit_has_id_subject_and_release() -> None:
    for release in RELEASES:
        for change in release.changes:
            assert change.sentence[0].isupper()
            assert change.sentence.endswith(".")
            assert not change.commit or re.match(r'[0-9a-f]{12} \(".+", v\d+\.\d+\)', change.commit)


def test_a_release_departs_from_the_default_by_its_changes() -> None:
    assert V6_12.departures == ()
    assert V6_12_117.departures == tuple(map(str, V6_12_117.changes))
    assert V7_2.departures == (*V6_12_117.departures, *map(str, V7_2.changes))
    assert V6_1.departures == tuple(f"not yet: {change}" for change in V6_12.changes)
    assert any('11aad2631bf7 ("mm/hugetlb_vmemmap: remap head page' in sentence for sentence in V6_1.departures)


def test_facts_and_features_are_inherited() -> None:
    assert (V6_1.variant.head_gfp, V6_12.variant.head_gfp) == (None, GFP_VMEMMAP_HEAD)
    assert V7_2.variant.head_gfp == V6_12_117.variant.head_gfp == GFP_KERNEL
    assert MM_2026.variant == V6_12.variant
    assert KernelFeature.HEADS in V6_1.features
    assert KernelFeature.HEADS not in V7_2.features
    assert [release for release in RELEASES if KernelFeature.STATIC_KEY not in release.features] == [V7_2]
    assert [release.name for release in V7_2.line] == ["6.1", "6.12", "6.12.117", "7.2"]
