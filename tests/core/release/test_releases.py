# SPDX-License-Identifier: GPL-2.0-only
"""The table of releases: names, commits, and facts that follow from the changes. Nothing here lists the releases."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from hvolab.errors import UsageError
from hvolab.overrides import check_types
from hvolab.release import (
    DEFAULT,
    RELEASES,
    HugetlbVariant,
    HvoVariant,
    KernelFeature,
    KernelRelease,
    StructPageLayout,
    departures_of,
    release_named,
    releases,
)
from hvolab.release.gfp import GFP_KERNEL, GFP_VMEMMAP_HEAD
from hvolab.release.releases import MM_2026, V6_1, V6_12, V6_12_117, V7_2

COMMIT = re.compile(r'([0-9a-f]{12}) \("(.+)", v\d+\.\d+(\.\d+)?\)')


def test_every_release_of_the_module_is_in_the_table() -> None:
    assert set(RELEASES) == {value for value in vars(releases).values() if isinstance(value, KernelRelease)}
    names = [release.name for release in RELEASES]
    assert len(set(names)) == len(names)


def test_releases_are_found_by_name() -> None:
    assert release_named(None) is DEFAULT is V6_12
    assert [release_named(str(release)) for release in RELEASES] == list(RELEASES)
    with pytest.raises(UsageError, match=r"does not know the kernel release '5.4'") as caught:
        release_named("5.4")
    assert caught.value.hint == f"choose one of {', '.join(map(str, RELEASES))}"


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_a_release_follows_one_of_the_table(release: KernelRelease) -> None:
    assert release.before is None or release.before in RELEASES[: RELEASES.index(release)]
    assert bool(release.changes) == (release.before is not None)


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_facts_are_of_their_types(release: KernelRelease) -> None:
    check_types(release.variant, release.name)
    check_types(release.hugetlb, release.name)
    check_types(release.struct_page, release.name)


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_every_fact_that_differs_from_the_release_before_is_set_by_a_change(release: KernelRelease) -> None:
    before = release.before
    if before is None:
        return
    for kind, attribute in ((HvoVariant, "variant"), (HugetlbVariant, "hugetlb"), (StructPageLayout, "struct_page")):
        ours, theirs = getattr(release, attribute), getattr(before, attribute)
        differing = {each.name for each in fields(kind) if getattr(ours, each.name) != getattr(theirs, each.name)}
        assert differing == {name for change in release.changes for name, _ in getattr(change, attribute)}


def test_a_change_is_a_sentence_and_a_commit_is_id_subject_and_release() -> None:
    subjects: dict[str, str] = {}
    for change in (change for release in RELEASES for change in release.changes):
        assert change.sentence[0].isupper()
        assert change.sentence.endswith(".")
        assert "\n" not in change.sentence
        if change.commit:
            found = COMMIT.fullmatch(change.commit)
            assert found, change.commit
            assert subjects.setdefault(found[1], found[2]) == found[2]


def test_a_release_departs_from_the_default_by_its_changes() -> None:
    assert departures_of(V6_12) == ()
    assert departures_of(V6_12_117) == tuple(map(str, V6_12_117.changes))
    assert departures_of(V7_2) == (*departures_of(V6_12_117), *map(str, V7_2.changes))
    assert departures_of(V6_1) == tuple(f"not yet: {change}" for change in V6_12.changes)
    assert any('11aad2631bf7 ("mm/hugetlb_vmemmap: remap head page' in sentence for sentence in departures_of(V6_1))


def test_facts_and_features_are_inherited() -> None:
    assert (V6_1.variant.head_gfp, V6_12.variant.head_gfp) == (None, GFP_VMEMMAP_HEAD)
    assert V7_2.variant.head_gfp == V6_12_117.variant.head_gfp == GFP_KERNEL
    assert MM_2026.variant == V6_12.variant
    assert KernelFeature.HEADS in V6_1.features
    assert KernelFeature.HEADS not in V7_2.features
    assert [release.name for release in V7_2.line] == ["6.1", "6.12", "6.12.117", "7.2"]
