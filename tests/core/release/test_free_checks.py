# SPDX-License-Identifier: GPL-2.0-only
"""Demands of the page allocator, against the masks in the code of Debian's kernels."""

from __future__ import annotations

import pytest

from hvolab.release import KernelRelease
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2

#: Generation of LRU pages, which the masks of the code have and the model has not.
_LRU_GEN = 0b111 << 27


@pytest.mark.parametrize(
    ("release", "mask"),
    [(V6_1, 0x3830F231), (V6_12, 0x380CE123), (V6_12_117, 0x380CE123), (V7_2, 0x3814E123)],
    ids=str,
)
def test_flags_are_those_that_the_code_of_the_release_tests(release: KernelRelease, mask: int) -> None:
    assert release.struct_page.free_checks.flags | _LRU_GEN == mask


@pytest.mark.parametrize(
    ("release", "words"),
    [
        (V6_1, ""),
        (V6_12, "large_mapcount entire_mapcount nr_pages_mapped pincount"),
        (V7_2, "large_mapcount nr_pages_mapped entire_mapcount pincount mm mapcount 0"),
    ],
    ids=str,
)
def test_fields_of_the_first_tail_are_reported_in_the_words_of_the_release(release: KernelRelease, words: str) -> None:
    reasons = [store.reason for store in release.struct_page.compound_stores if store.reason]
    assert " ".join(reason.removeprefix("nonzero ") for reason in reasons if "nonzero" in reason) == words
    assert ("on deferred list" in reasons) is bool(words)
    assert release.struct_page.free_checks.tails is bool(words)
