# SPDX-License-Identifier: GPL-2.0-only
"""Differences of a release: its own changes, and those of each architecture that has both releases."""

from __future__ import annotations

import json
from dataclasses import replace

from hvolab.arch import PageFlags, ReleaseChange
from hvolab.cli.releases_report import Difference, ReleaseReport, data_of, differences, offering, opening
from hvolab.plugin import registry
from hvolab.release import RELEASES
from hvolab.release.faults import RESTORED_AS_HEADS
from hvolab.release.kernel_release import PARTS
from hvolab.release.releases import MM_2026, V6_1, V6_12, V6_12_117, V7_2
from hvolab.schema import schema_of
from hvolab.serialize import as_data
from tests.made_up import MADE_UP
from tests.schemas import faults

FLAGS = PageFlags(zones=("NORMAL",), node_bits=2, zone_bits=1, cpupid_bits=14, releases=("6.1",))


def test_the_changes_of_a_release_come_first_and_parts_stay_together() -> None:
    for release in RELEASES:
        found = differences(release, ())
        assert sorted(map(str, found)) == sorted(
            str(Difference(change.part, change.sentence, change.commit or None, faults=change.faults))
            for change in release.changes
        )
        parts = list(dict.fromkeys(one.part for one in differences(release)))
        titles = [title for _, title in PARTS]
        assert parts == [title for title in titles if title in parts] + [part for part in parts if part not in titles]


def test_a_known_fault_is_shown_with_the_change_that_has_it_and_in_data() -> None:
    inherited, *faults = V6_12_117.faults
    shown = {fault: one.sentence for one in differences(V6_12_117, ()) for fault in one.faults}
    assert list(shown) == faults
    assert shown[RESTORED_AS_HEADS] == (
        "A restored tail page is a copy of the page that its entry maps, and none of it is reset."
    )
    assert {release: list(data_of(release).faults) for release in (V6_12, V6_12_117, V7_2)} == {
        V6_12: [inherited],
        V6_12_117: [inherited, *faults],
        V7_2: [],
    }


def test_a_protection_that_differs_is_shown_with_its_bits_fields_and_commit() -> None:
    pgprots = tuple(replace(one, commit="made up") for one in MADE_UP.pgprots)
    [found] = differences(V6_12, [replace(MADE_UP, pgprots=pgprots)])[-1:]
    old, new = (MADE_UP.select(release=release) for release in (V6_1, V6_12))
    raws = [
        target.bits(target.mode.last.name, role)
        for target in (new, old)
        for role, pgprot in target.pgprots
        if pgprot.name == found.sentence.split()[0]
    ]
    assert f"is {raws[0]:#018x} instead of {raws[1]:#018x}: " in found.sentence
    assert (found.part, found.commit) == (MADE_UP.name, "made up")


def test_a_change_declared_by_an_architecture_is_shown_under_its_name() -> None:
    change = ReleaseChange("mm-2026", "Entries are hot", commit="made up", source="a series")
    architecture = replace(MADE_UP, changes=(change,))
    of_all = differences(MM_2026, [MADE_UP])
    found = Difference(MADE_UP.name, "Entries are hot.", "made up", "a series")
    assert differences(MM_2026, [architecture]) == [*of_all, found]
    assert {one.part for one in of_all} == {"hugetlb"}


def test_a_commit_that_is_not_known_is_replaced_by_the_source_or_named_as_unknown() -> None:
    assert Difference("HVO", "It is.", "a commit", "a series").origin == "a commit"
    assert Difference("HVO", "It is.", source="a series").origin == "a series"
    assert Difference("HVO", "It is.").origin == "commit not known"


def test_a_release_to_come_has_on_every_architecture_what_the_one_before_it_has() -> None:
    last = [release for release in RELEASES if release.anywhere][-1]
    assert differences(last.after("to come", "made up")) == []


def test_the_flags_of_a_struct_page_are_compared_where_both_releases_declare_them() -> None:
    wider = replace(FLAGS, cpupid_bits=16, releases=())
    found = differences(V6_12, [replace(MADE_UP, page_flags=(FLAGS, wider))])
    assert "In the flags of a struct page, bits of the last CPU and PID: 16 instead of 14, as configured." in {
        one.sentence for one in found
    }
    only = differences(V6_12, [replace(MADE_UP, page_flags=(FLAGS,))])
    assert not any("flags of a struct page" in one.sentence for one in only)


def test_a_release_says_with_which_it_is_compared_and_who_has_it() -> None:
    assert opening(V6_1) == "the first of the table"
    assert opening(V6_12) == "compared with 6.1"
    assert opening(MM_2026) == "compared with 6.12; only on arm64"
    assert offering(V6_12) == list(registry().architectures())


def test_the_data_of_every_release_fits_the_schema() -> None:
    data = as_data([data_of(release) for release in RELEASES])
    assert faults(schema_of(list[ReleaseReport]), json.loads(json.dumps(data))) == []
