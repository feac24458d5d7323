"""Causes of differences between releases, as data."""

from __future__ import annotations

import pytest

from hvolab_kernel.comparison.causes import CAUSES, NOT_CALLED, ReleaseDifference

#: Differences, with the first cause that explains them.
EXPLAINED = [
    (ReleaseDifference("call in optimize", "rcu", NOT_CALLED, "synchronize_rcu()"), "waits for RCU"),
    (ReleaseDifference("call in restore", "flush range", "7 pages", "8 pages"), "head moves to a new frame"),
    (
        ReleaseDifference("mapping", "tails' flags", "pte 0x161 P|A|D", "pte 0x121 P|A"),
        "optimizes head pages, one by one",
    ),
    (ReleaseDifference("mapping", "tails' frame", "one", "the head's"), "tails share one page per zone and order"),
    (ReleaseDifference("call in optimize_list", "flush all", NOT_CALLED, "flush_tlb_all()"), "batches of boot folios"),
]


@pytest.mark.parametrize(("difference", "feature"), EXPLAINED)
def test_a_difference_has_the_feature_that_explains_it(difference: ReleaseDifference, feature: str) -> None:
    assert next(one.feature for one in CAUSES if one.explains(difference)) == feature


@pytest.mark.parametrize(
    "difference",
    [
        ReleaseDifference("call in optimize", "rcu", "synchronize_rcu()", NOT_CALLED),
        ReleaseDifference("call in restore", "flush range", "6 pages", "8 pages"),
        ReleaseDifference("mapping", "tails' flags", "pte 0x123 P|RW|A", "pte 0x121 P|A"),
        ReleaseDifference("struct pages", "head page, byte 0", "differs", "as in v6.12"),
    ],
)
def test_other_differences_are_not_explained(difference: ReleaseDifference) -> None:
    assert not [one for one in CAUSES if one.explains(difference)]
