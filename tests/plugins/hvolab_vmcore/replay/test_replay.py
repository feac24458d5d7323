# SPDX-License-Identifier: GPL-2.0-only
"""Replay of real kernels' cores: the engine leaves what the kernel left."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from hvolab.errors import CoreFileError, KernelBug, UsageError
from hvolab.hvo import HasOrder, Hvo
from hvolab.machine import Machine
from hvolab.release.releases import V6_12, V6_12_117
from hvolab_vmcore.core.snapshot import SnapshotOptions
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.releases import open_scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    CAPTURES,
    FIRST_FOLIO,
    MADE_CORES,
    MADE_STATES,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    PAIRS,
    REPORTS,
    RESTORED,
    STAGES,
    WRONG_OPTIMIZED,
    WRONG_RESTORED,
    changed,
    in_folder,
    made,
    pa_of,
    slot_of,
    va_of,
    with_text,
)

RW = 1 << 1


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=in_folder)
def test_the_engine_leaves_what_the_kernel_left(before: Path, after: Path) -> None:
    outcome = replay(before, after)
    assert outcome.differences == ()
    assert outcome.entries_compared > 500
    assert outcome.struct_pages_compared > 2800


def test_equal_cores_have_nothing_to_replay() -> None:
    outcome = replay(OPTIMIZED_1G, OPTIMIZED_1G)
    assert (outcome.plan.restored, outcome.plan.optimized, outcome.differences) == ((), (), ())


def test_cores_of_different_kernels_are_refused(tmp_path: Path) -> None:
    other = with_text(OPTIMIZED_2M, b"6.12.107+deb13-amd64", b"6.12.108+deb13-amd64", tmp_path / "other.core")
    with pytest.raises(UsageError, match=r"different kernels: 6\.12\.107.* and 6\.12\.108"):
        replay(BOOT, other)
    other = with_text(OPTIMIZED_2M, b"BUILD-ID=9c54", b"BUILD-ID=9c55", tmp_path / "other.core")
    with pytest.raises(UsageError, match="different builds of the kernel"):
        replay(BOOT, other)
    with pytest.raises(UsageError, match="different architectures: x86_64 and arm64"):
        replay(BOOT, CAPTURES / "arm64-6.12-4K-48bit" / "1-optimised-2M.core.xz")


def test_a_core_before_in_which_two_pages_share_a_frame_is_refused(tmp_path: Path) -> None:
    slot, _ = slot_of(OPTIMIZED_1G, va_of(FIRST_FOLIO))
    other = slot_of(OPTIMIZED_1G, va_of(FIRST_FOLIO + 512))[1]
    broken = changed(OPTIMIZED_1G, {slot: other}, tmp_path / "changed.core")
    with pytest.raises(CoreFileError, match="the core before is broken: frame 0x549d"):
        replay(broken, RESTORED)


def of_other_release(machine: Machine) -> Hvo:
    return Hvo(machine, release=V6_12_117)


def test_another_release_optimizes_without_a_difference() -> None:
    outcome = replay(BOOT, OPTIMIZED_2M, engine=of_other_release)
    assert (outcome.release, outcome.choice.release, outcome.differences) == (V6_12_117, V6_12, ())


def test_an_engine_of_another_release_differs_where_the_releases_do() -> None:
    outcome = replay(OPTIMIZED_1G, RESTORED, engine=of_other_release)
    assert (outcome.release, outcome.choice.release) == (V6_12_117, V6_12)
    assert outcome.differences_found > 1000
    assert {one.va % 4096 // 64 for one in outcome.differences} == {0, 1, 2}  # what v6.12 resets


# releases

MADE = sorted(folder.name for folder in MADE_CORES.iterdir() if folder.is_dir())


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), list(combinations(MADE_STATES, 2)))
@pytest.mark.parametrize("kernel", MADE)
def test_the_model_of_its_release_leaves_what_a_kernel_left(kernel: str, before: str, after: str) -> None:
    outcome = replay(made(kernel, before), made(kernel, after))
    assert outcome.differences == ()
    assert outcome.entries_compared > 500
    assert outcome.release is outcome.choice.release
    release = kernel.partition("-")[2]
    assert release in {outcome.release.name, *(one.name for one in outcome.choice.as_well)}
    if outcome.plan.restored and after == "4-restored":
        assert (outcome.release.name, outcome.choice.as_well) == (release, ())


def repeats(kernel: str, before: str, after: str, release: str) -> bool:
    """Return whether the model of a release, named by an option, leaves what a kernel left."""
    try:
        outcome = replay(made(kernel, before), made(kernel, after), SnapshotOptions(release=release))
    except KernelBug:
        return False
    assert (outcome.release.name, outcome.choice.named) == (release, True)
    return not outcome.differences_found


@pytest.mark.slow
@pytest.mark.parametrize("kernel", MADE)
def test_the_model_of_any_other_release_differs(kernel: str) -> None:
    steps = (("0-boot", "2-eight-2M"), ("3-one-1G", "4-restored"))
    fits = {
        release
        for release in ("6.1", "6.12", "6.12.117", "7.2")
        if all(repeats(kernel, before, after, release) for before, after in steps)
    }
    assert fits == {kernel.partition("-")[2]}


def test_a_wrong_restore_of_a_booted_kernel_is_repeated() -> None:
    outcome = replay(WRONG_OPTIMIZED, WRONG_RESTORED)
    assert (outcome.release, outcome.differences, outcome.choice.as_well) == (V6_12_117, (), ())
    named = replay(WRONG_OPTIMIZED, WRONG_RESTORED, SnapshotOptions(release="6.12"))
    marks = [one.va for one in named.differences if one.kind == "struct-page.mark"]
    assert marks[:7] == [va_of(0x3E00, page) + 48 for page in range(1, 8)]
    assert named.differences_found > 56


@pytest.mark.slow
def test_a_restore_tells_releases_apart_that_features_do_not() -> None:
    outcome = replay(OPTIMIZED_1G, RESTORED)
    assert (outcome.release, outcome.choice.as_well) == (V6_12, ())
    assert outcome.choice.fits[-1].endswith("differences of each model: 6.12: 0, 6.12.117: 1077")
    assert [release.name for release in replay(BOOT, OPTIMIZED_2M).choice.as_well] == ["6.12.117"]


@pytest.mark.slow
def test_the_closest_model_counts_where_features_mislead(tmp_path: Path) -> None:
    # one struct page looks as a wrong restore leaves it
    pa = pa_of(RESTORED, va_of(FIRST_FOLIO, 3))
    after = changed(RESTORED, {pa + 48: 0xF4000000}, tmp_path / "changed.core")
    assert open_scan(after).snapshot.choice.release is V6_12_117
    outcome = replay(OPTIMIZED_1G, after)
    assert (outcome.release, outcome.differences_found) == (V6_12, 1)


def test_a_kernel_without_batches_is_called_for_each_folio() -> None:
    calls = []

    class Single(Hvo):
        def optimize_folio(self, h: HasOrder, folio: int) -> None:
            calls.append(folio)
            super().optimize_folio(h, folio)

    outcome = replay(made("x86_64-6.1", "0-boot"), made("x86_64-6.1", "1-four-2M"), engine=Single)
    assert (outcome.differences, len(calls)) == ((), 4)


@pytest.mark.parametrize("kernel", MADE)
def test_the_folios_of_captured_and_made_cores_pass_in_between(kernel: str) -> None:
    outcome = replay(made(kernel, "0-boot"), made(kernel, "4-restored"))
    assert sorted(order for _, order in outcome.plan.passing) == [9] * 8 + [18]
    assert outcome.differences == ()


@pytest.mark.slow
@pytest.mark.parametrize("folder", STAGES)
def test_booted_kernels_optimize_and_restore_in_between(folder: str) -> None:
    outcome = replay(STAGES[folder][0], STAGES[folder][-1])
    assert len(outcome.plan.passing) >= 8
    assert outcome.differences == ()
    assert outcome.release.name == REPORTS[folder].get("release", V6_12.name)
