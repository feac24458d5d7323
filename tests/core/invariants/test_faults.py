# SPDX-License-Identifier: GPL-2.0-only
"""Known faults of releases, as rules use them."""

from __future__ import annotations

import pytest

from hvolab.invariants.faults import restored_as_heads
from hvolab.release import KernelRelease
from hvolab.release.releases import RESTORED_AS_HEADS, V6_1, V6_12, V6_12_117, V7_2
from tests.core.invariants.mutants import pools_of


@pytest.mark.parametrize(
    ("release", "predicted"),
    [(V6_1, (0, "")), (V6_12, (0, "")), (V6_12_117, (4, RESTORED_AS_HEADS)), (V7_2, (0, ""))],
    ids=str,
)
def test_only_a_release_with_the_fault_predicts_wrong_tails(release: KernelRelease, predicted: tuple[int, str]) -> None:
    assert restored_as_heads(pools_of(release).machine) == predicted
