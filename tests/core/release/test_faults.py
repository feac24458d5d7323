# SPDX-License-Identifier: GPL-2.0-only
"""Known faults: which releases have them, until a later change mends them."""

from __future__ import annotations

import re

from hvolab.release.faults import DEMOTED_AS_OPTIMIZED, LOST_HEADS, RESTORED_AS_HEADS, SKIPPED_GRACE_PERIOD
from hvolab.release.releases import MM_2026, V6_1, V6_12, V6_12_117, V7_2


def test_releases_have_the_faults_of_their_line_that_no_later_change_mends() -> None:
    of_copies = (LOST_HEADS, RESTORED_AS_HEADS, DEMOTED_AS_OPTIMIZED)
    expected = {
        V6_1: (),
        V6_12: (SKIPPED_GRACE_PERIOD,),
        V6_12_117: (SKIPPED_GRACE_PERIOD, *of_copies),
        V7_2: (),
        MM_2026: (SKIPPED_GRACE_PERIOD,),
    }
    assert {release: release.faults for release in expected} == expected


def test_each_fault_is_a_sentence_that_names_a_commit() -> None:
    for fault in V6_12_117.faults:
        assert fault.endswith(".")
        assert re.search(r"\b[0-9a-f]{12}\b", fault)
