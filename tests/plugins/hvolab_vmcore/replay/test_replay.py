# SPDX-License-Identifier: GPL-2.0-only
"""Replay of real kernels' cores: the engine leaves what the kernel left."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from hvolab.errors import CoreFileError, UsageError
from hvolab.hvo import HasOrder, Hvo
from hvolab.machine import Machine
from hvolab.release.releases import V6_12_117
from hvolab_vmcore.replay.replay import Replay, replay
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    CAPTURES,
    FIRST_FOLIO,
    FOLDERS,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    changed,
    slot_of,
    va_of,
    with_text,
)

RW = 1 << 1
STAGES = ("0-boot", "1-optimised-2M", "2-optimised-1G", "3-restored")


@pytest.mark.parametrize("folder", [folder.name for folder in FOLDERS])
@pytest.mark.parametrize(("before", "after"), list(pairwise(STAGES)))
def test_the_engine_leaves_what_the_kernel_left(folder: str, before: str, after: str) -> None:
    outcome = replay(CAPTURES / folder / f"{before}.core.xz", CAPTURES / folder / f"{after}.core.xz")
    assert outcome.differences == ()
    assert outcome.entries_compared > 500
    assert outcome.struct_pages_compared >= 3584


@pytest.mark.parametrize(
    ("before", "after", "action", "folios", "entries", "struct_pages"),
    [
        (BOOT, OPTIMIZED_2M, "optimized", 8, 538, 8 * 512),
        (OPTIMIZED_2M, OPTIMIZED_1G, "optimized", 1, 4634, 8 * 512 + (1 << 18)),
        (OPTIMIZED_1G, RESTORED, "restored", 9, 4634, 11705),
    ],
)
def test_a_replay_reports_its_operations_comparisons_and_omissions(
    before: Path, after: Path, action: str, folios: int, entries: int, struct_pages: int
) -> None:
    data = replay(before, after).as_dict()
    assert (data["architecture"], data["mode"], data["kernel"]) == ("x86_64", "4-level", "6.12.107+deb13-amd64")
    assert [folio["action"] for folio in data["folios"]] == [action] * folios
    assert (data["entries_compared"], data["struct_pages_compared"]) == (entries, struct_pages)
    assert data["differences"] == []
    assert any("boot (reserved) memory" in one["why"] for one in data["left_out"])


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


def other_variant(machine: Machine) -> Hvo:
    return Hvo(machine, release=V6_12_117)


class Careless(Hvo):
    """Engine that declares a variant, and writes where that variant does not."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine, release=V6_12_117)

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        result = super().restore_folios(h, folio_list, non_hvo_folios)
        self.cpu.store_word(va_of(FIRST_FOLIO, 1) + 40 * 64, 7)
        return result


@cache
def restored_by_other_variant() -> Replay:
    return replay(OPTIMIZED_1G, RESTORED, engine=other_variant)


def test_another_variant_optimizes_without_a_difference() -> None:
    assert replay(BOOT, OPTIMIZED_2M, engine=other_variant).differences == ()


def test_differences_between_variants_are_marked() -> None:
    outcome = restored_by_other_variant()
    assert outcome.differences_of_variant == outcome.differences_found > 1000
    assert {one.variant for one in outcome.differences} == {"6.12.117"}


def test_a_difference_that_is_not_due_to_the_variant_is_not_marked(tmp_path: Path) -> None:
    slot, raw = slot_of(RESTORED, va_of(FIRST_FOLIO, 2))
    after = changed(RESTORED, {slot: raw & ~RW}, tmp_path / "changed.core")
    outcome, other = restored_by_other_variant(), replay(OPTIMIZED_1G, after, engine=other_variant)
    assert (other.differences_of_variant, other.differences_found) == (
        outcome.differences_of_variant,
        outcome.differences_found + 1,
    )


def test_no_difference_of_an_engine_that_deviates_from_its_variant_is_marked() -> None:
    outcome = replay(OPTIMIZED_1G, RESTORED, engine=Careless)
    assert outcome.differences_of_variant == 0 < outcome.differences_found
    assert {one.variant for one in outcome.differences} == {""}
