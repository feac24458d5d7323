# SPDX-License-Identifier: GPL-2.0-only
"""Every fact about hugetlb's code has a meaning, and releases have those that their kernels show."""

from __future__ import annotations

from dataclasses import fields

import pytest

from hvolab.release import RELEASES, HugetlbVariant, KernelFeature, KernelRelease
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2

#: Facts by release, of 6.1, 6.12.107, 6.12.117 and 7.2: disassembled images of Debian's, and cores of 6.12.107.
FACTS = {
    "batches": (False, True, True, True),
    "marked_first": (False, True, True, True),
    "stays_frozen": (False, True, True, True),
    "dissolves_surplus": (False, False, True, True),
    "counts_surplus_at_once": (False, False, False, True),
    "persistent_elsewhere": (False, True, True, True),
    "spares_surplus": (False, False, False, True),
    "gathers_by_node": (False, True, True, False),
    "overcommits_gigantic": (False, False, False, True),
    "late_tails": (False, True, True, True),
    "clears_parts": (True, False, False, False),
    "gigantic_gfp": (0x300CC2, 0x342CC2, 0x342CC2, 0x342CC2),
}


def test_every_fact_has_a_meaning_and_a_text() -> None:
    for fact in fields(HugetlbVariant):
        assert fact.metadata["meaning"]
        assert fact.metadata["show"](getattr(V6_12.hugetlb, fact.name))


@pytest.mark.parametrize(("number", "release"), [*enumerate((V6_1, V6_12, V6_12_117, V7_2))])
def test_facts_are_those_of_the_release_s_code(number: int, release: KernelRelease) -> None:
    seen = {fact.name: getattr(release.hugetlb, fact.name) for fact in fields(HugetlbVariant)}
    assert seen == {name: values[number] for name, values in FACTS.items()}


def test_batches_of_hugetlb_are_those_of_hvo() -> None:
    assert all(release.hugetlb.batches == (KernelFeature.BATCHES in release.features) for release in RELEASES)
