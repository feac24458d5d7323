# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab verify`: what it finds where all is as described, and where a description or a CPU is wrong."""

from __future__ import annotations

import pytest

from hvolab.release import DEFAULT, RELEASES
from hvolab_unicorn.verify import verify
from tests.plugins.hvolab_unicorn.verify.targets import few, target_of
from tests.samples import one_in

#: Modes whose folios have few tails, and those whose 1 GiB pages have 4095.
FEW = [("arm64", name) for name in ("16K-47bit", "16K-36bit", "16K-48bit", "64K-48bit", "64K-42bit")]
MANY = [
    *(("x86_64", name) for name in ("4-level", "5-level")),
    *(("arm64", name) for name in ("4K-48bit", "4K-39bit")),
    *(("riscv", name) for name in ("Sv39", "Sv48", "Sv57")),
]
MODES = [
    *(pytest.param(*mode, id="-".join(mode)) for mode in FEW),
    *(
        pytest.param(*mode.values, id=mode.id, marks=[*mode.marks, pytest.mark.slow])
        for mode in one_in(2, MANY, "-".join)
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "mode"), MODES)
def test_every_tail_is_what_the_description_says(architecture: str, mode: str) -> None:
    target = target_of(architecture, mode)
    found = verify(target)
    counts = found.counts
    assert found.mismatches == []
    assert found.as_declared
    assert counts.huge_pages >= 3
    assert counts.loads == counts.exchanges == 2 * counts.tails
    assert counts.stale_stores > 0
    refused = 2 * (counts.tails + counts.huge_pages)  # fetches
    if target.tails_fault:
        refused += 2 * counts.tails * (1 + target.traits.compare_and_swap_needs_write)
    assert counts.faults == refused
    assert bool(found.findings) is not target.tails_fault


@pytest.mark.parametrize("release", [each.name for each in RELEASES if each is not DEFAULT and each.anywhere])
@pytest.mark.parametrize(
    ("architecture", "mode"),
    [
        pytest.param("arm64", "16K-47bit", id="arm64-16K-47bit"),
        pytest.param("x86_64", "4-level", id="x86_64-4-level", marks=pytest.mark.slow),
        pytest.param("riscv", "Sv39", id="riscv-Sv39", marks=pytest.mark.slow),
    ],
)
def test_every_tail_is_what_each_release_makes_of_it(architecture: str, mode: str, release: str) -> None:
    found = verify(target_of(architecture, mode, release=release))
    assert found.mismatches == []
    assert found.as_declared
    assert found.counts.loads == 2 * found.counts.tails > 0
    assert found.counts.stale_stores > 0


@pytest.mark.arch("riscv")
@pytest.mark.slow
def test_strict_tails_of_riscv_fault() -> None:
    found = verify(target_of("riscv", "Sv39", profile="strict"))
    assert (found.mismatches, found.findings) == ([], [])
    assert found.counts.faults == 2 * (2 * found.counts.tails + found.counts.huge_pages)


@pytest.mark.slow
@pytest.mark.arch("arm64")
def test_a_handler_in_the_guest_records_the_same() -> None:
    assert verify(few(), handler=True) == verify(few())
