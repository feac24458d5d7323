# SPDX-License-Identifier: GPL-2.0-only
"""A release is what the one before it is, with its changes, one after the other."""

from __future__ import annotations

from hvolab.release import DEFAULT, KernelChange, KernelFeature

FIRST = KernelChange(
    "The head keeps its page.",
    '0123456789ab ("mm: keep it", v9.1)',
    loses=frozenset({KernelFeature.MOVES_HEAD}),
    variant=(("head_gfp", None),),
)
SECOND = KernelChange("A tail is elsewhere.", hugetlb=(("batches", False),), struct_page=(("mapping", 32),))


def test_facts_and_features_are_those_of_the_release_before_with_the_changes() -> None:
    release = DEFAULT.after("9.1", "made up", FIRST, SECOND)
    assert (release.variant.head_gfp, release.hugetlb.batches, release.struct_page.mapping) == (None, False, 32)
    assert release.variant.flushes_head == DEFAULT.variant.flushes_head
    assert release.features == DEFAULT.features - {KernelFeature.MOVES_HEAD}
    assert release.line == (*DEFAULT.line, release)
    assert (str(release), release.before, release.anywhere) == ("9.1", DEFAULT, True)


def test_a_later_change_of_a_fact_replaces_an_earlier_one() -> None:
    release = DEFAULT.after("9.1", "made up", FIRST, KernelChange("It moves.", variant=(("head_gfp", 1),)))
    assert release.variant.head_gfp == 1


def test_releases_of_one_line_differ_by_the_changes_between_them_in_both_directions() -> None:
    first = DEFAULT.after("9.1", "made up", FIRST)
    second = first.after("9.2", "made up", SECOND)
    other = DEFAULT.after("9.1-rt", "made up", SECOND)
    assert second.differences(DEFAULT) == ((FIRST, SECOND), ())
    assert DEFAULT.differences(second) == ((), (FIRST, SECOND))
    assert first.differences(other) == ((FIRST,), (SECOND,))


def test_a_change_reads_as_its_sentence_and_its_commit() -> None:
    assert str(FIRST) == 'The head keeps its page. 0123456789ab ("mm: keep it", v9.1)'
    assert str(SECOND) == "A tail is elsewhere."


def test_a_change_is_of_the_part_whose_facts_it_sets() -> None:
    assert (FIRST.part, SECOND.part) == ("HVO", "hugetlb")
    assert KernelChange("A tail is elsewhere.", struct_page=(("mapping", 32),)).part == "struct page"
    assert KernelChange("Only a name.").part == "HVO"
    assert KernelChange("A step.", about="hugetlb").part == "hugetlb"
