"""What kernels did between two cores, done again: no difference to the kernel, and every change to it is told."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hvolab.errors import CoreFileError, UsageError
from hvolab.hvo import V6_12_117, HasOrder, Hvo
from hvolab.machine import Machine
from hvolab_vmcore.replay.replay import Replay, replay
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    CAPTURES,
    FIRST_FOLIO,
    FOLDERS,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    changed,
    pa_of,
    scanned,
    slot_of,
    va_of,
    with_text,
)

RW, GLOBAL, PSE = 1 << 1, 1 << 8, 1 << 7
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
def test_a_replay_tells_what_was_done_compared_and_left_out(
    before: Path, after: Path, action: str, folios: int, entries: int, struct_pages: int
) -> None:
    data = replay(before, after).as_dict()
    assert (data["architecture"], data["mode"], data["kernel"]) == ("x86_64", "4-level", "6.12.107+deb13-amd64")
    assert [folio["action"] for folio in data["folios"]] == [action] * folios
    assert (data["entries_compared"], data["struct_pages_compared"]) == (entries, struct_pages)
    assert data["differences"] == []
    assert any("boot (reserved) memory" in one["why"] for one in data["left_out"])


def test_cores_alike_have_nothing_to_replay() -> None:
    outcome = replay(OPTIMIZED_1G, OPTIMIZED_1G)
    assert (outcome.plan.restored, outcome.plan.optimized, outcome.differences) == ((), (), ())


def difference(before: Path, after: Path, words: dict[int, int], tmp_path: Path) -> Replay:
    outcome = replay(before, changed(after, words, tmp_path / "changed.core"))
    assert outcome.differences_found == len(outcome.differences) > 0
    return outcome


@pytest.mark.parametrize(
    ("before", "after", "va", "make", "kind"),
    [
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 3), lambda raw: raw | RW, "entry.flags"),
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 3), lambda raw: raw ^ 0x40000, "entry.frame"),
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 3), lambda _: 0x80000000BCF73121, "entry.kept"),
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 0), lambda raw: raw & ~RW, "entry.flags"),
        (BOOT, OPTIMIZED_2M, va_of(FIRST_FOLIO, 7), lambda _: 0, "entry.kind"),
        (BOOT, OPTIMIZED_2M, va_of(0x100), lambda raw: raw & ~GLOBAL, "entry.flags"),  # a neighbor after the split
        (BOOT, OPTIMIZED_2M, va_of(0x100), lambda raw: raw ^ 0x1000000, "entry.kept"),
        (OPTIMIZED_2M, OPTIMIZED_1G, va_of(GIGANTIC, 4095), lambda raw: raw | RW, "entry.flags"),
        (OPTIMIZED_2M, OPTIMIZED_1G, va_of(GIGANTIC, 700), lambda raw: raw ^ 0x40000, "entry.frame"),
        (OPTIMIZED_1G, RESTORED, va_of(FIRST_FOLIO, 2), lambda raw: raw & ~RW, "entry.flags"),
        (OPTIMIZED_1G, RESTORED, va_of(FIRST_FOLIO, 2), lambda raw: raw | 1 << 63 | 1 << 9, "entry.flags"),
        (OPTIMIZED_1G, RESTORED, va_of(GIGANTIC, 2000), lambda raw: raw & ~GLOBAL, "entry.flags"),
        (OPTIMIZED_1G, RESTORED, va_of(FIRST_FOLIO, 0), lambda raw: raw ^ 0x40000, "entry.kept"),
    ],
)
def test_a_changed_entry_is_a_difference_that_names_va_and_both_entries(
    tmp_path: Path, before: Path, after: Path, va: int, make: Any, kind: str
) -> None:
    slot, raw = slot_of(after, va)
    outcome = difference(before, after, {slot: make(raw)}, tmp_path)
    (entry,) = (one for one in outcome.differences if one.kind.startswith("entry."))
    assert (entry.kind, entry.va) == (kind, va)
    assert entry.kernel.startswith(f"{make(raw):#018x}")
    assert entry.engine != entry.kernel


def test_two_restored_tails_in_one_frame_are_a_difference(tmp_path: Path) -> None:
    raw = slot_of(RESTORED, va_of(FIRST_FOLIO, 1))[1]
    slot, _ = slot_of(RESTORED, va_of(FIRST_FOLIO, 2))
    outcome = difference(OPTIMIZED_1G, RESTORED, {slot: raw}, tmp_path)
    assert {one.kind for one in outcome.differences} == {"entry.frame"}


def test_frames_may_be_others_as_long_as_the_entries_share_them_alike(tmp_path: Path) -> None:
    slots = [slot_of(RESTORED, va_of(FIRST_FOLIO, page)) for page in (1, 2)]
    swapped = {slots[0][0]: slots[1][1], slots[1][0]: slots[0][1]}
    assert replay(OPTIMIZED_1G, changed(RESTORED, swapped, tmp_path / "changed.core")).differences == ()


def test_a_pmd_that_is_not_split_any_more_is_a_difference(tmp_path: Path) -> None:
    leaf = slot_of(BOOT, va_of(GIGANTIC))[1]
    walk = {step.level.name: step for step in _walk(RESTORED, va_of(GIGANTIC))}
    assert leaf & PSE
    outcome = difference(OPTIMIZED_1G, RESTORED, {walk["pmd"].slot: leaf}, tmp_path)
    (entry,) = (one for one in outcome.differences if one.kind == "entry.kind")
    assert (entry.va, entry.kernel.split()[0]) == (va_of(GIGANTIC), f"{leaf:#018x}")
    assert "a leaf" in entry.text


def test_a_table_entry_with_other_flags_is_a_difference(tmp_path: Path) -> None:
    step = {step.level.name: step for step in _walk(OPTIMIZED_2M, va_of(FIRST_FOLIO))}["pmd"]
    outcome = difference(BOOT, OPTIMIZED_2M, {step.slot: step.raw & ~4}, tmp_path)
    assert [(one.kind, one.va) for one in outcome.differences] == [("entry.flags", va_of(0))]


@pytest.mark.parametrize(
    ("byte", "word", "kind"),
    [
        (40, 0, "struct-page.head"),  # HPG_vmemmap_optimized is clear
        (0, 0x000FFFFFC0000018, "struct-page.head"),  # PG_head is clear
        (5 * 64 + 8, va_of(FIRST_FOLIO), "struct-page.tail"),  # compound_head without its bit
    ],
)
def test_a_changed_word_in_the_heads_page_is_a_difference(tmp_path: Path, byte: int, word: int, kind: str) -> None:
    pa = pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO)) + byte
    outcome = difference(BOOT, OPTIMIZED_2M, {pa: word}, tmp_path)
    assert [(one.kind, one.va) for one in outcome.differences] == [(kind, va_of(FIRST_FOLIO) + byte)]


def test_a_huge_page_of_which_nothing_was_done_still_has_its_bit_compared(tmp_path: Path) -> None:
    pa = pa_of(OPTIMIZED_1G, va_of(FIRST_FOLIO)) + 40
    outcome = difference(OPTIMIZED_2M, OPTIMIZED_1G, {pa: 8}, tmp_path)
    assert [one.kind for one in outcome.differences] == ["struct-page.head"]


@pytest.mark.parametrize("slot", [0, 1, 2, 5])
def test_a_restored_tail_page_that_does_not_carry_what_it_should_is_a_difference(tmp_path: Path, slot: int) -> None:
    va = va_of(FIRST_FOLIO, 1) + slot * 64 + 16
    outcome = difference(OPTIMIZED_1G, RESTORED, {pa_of(RESTORED, va): va}, tmp_path)
    assert [(one.kind, one.va) for one in outcome.differences] == [("struct-page.restored", va)]


def test_a_page_that_was_restored_and_optimized_again_is_done_again(tmp_path: Path) -> None:
    words = {}
    for page in range(8):
        slot, raw = slot_of(OPTIMIZED_1G, va_of(FIRST_FOLIO, page))
        words[slot] = raw & 0x8000000000000FFF | 0x2345000
    outcome = replay(OPTIMIZED_2M, changed(OPTIMIZED_1G, words, tmp_path / "changed.core"))
    assert outcome.plan.restored == ((FIRST_FOLIO, 9),)
    assert outcome.plan.optimized == ((FIRST_FOLIO, 9), (GIGANTIC, 18))
    assert outcome.differences == ()


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


def test_a_head_page_that_the_core_before_does_not_hold_is_made_up_and_told(tmp_path: Path) -> None:
    content = changed(OPTIMIZED_1G, {}, tmp_path / "changed.core").read_bytes()
    head, elsewhere = ((frame * 4096).to_bytes(8, "little") for frame in (0x5461, 0x7000))
    (tmp_path / "changed.core").write_bytes(content.replace(head, elsewhere, 1))  # p_paddr of the head's segment
    outcome = replay(tmp_path / "changed.core", RESTORED)
    assert outcome.differences == ()
    assert (0x6800, 9) in outcome.plan.restored
    assert any(one.count == 1 and "an empty placeholder is used" in one.why for one in outcome.left_out)


def _walk(core: Path, va: int) -> Any:
    return scanned(core).snapshot.tables.walk(va)


def other_variant(machine: Machine) -> Hvo:
    return Hvo(machine, variant=V6_12_117)


class Careless(Hvo):
    """An engine that says that it is of a variant, and writes where that variant does not."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine, variant=V6_12_117)

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        result = super().restore_folios(h, folio_list, non_hvo_folios)
        self.cpu.store_word(va_of(FIRST_FOLIO, 1) + 40 * 64, 7)
        return result


def test_what_another_variant_of_hvo_leaves_otherwise_is_told_as_a_difference_of_that_variant(tmp_path: Path) -> None:
    assert replay(BOOT, OPTIMIZED_2M, engine=other_variant).differences == ()
    outcome = replay(OPTIMIZED_1G, RESTORED, engine=other_variant)
    assert outcome.differences_of_variant == outcome.differences_found > 1000
    assert {one.variant for one in outcome.differences} == {"6.12.117"}
    raw = slot_of(RESTORED, va_of(FIRST_FOLIO, 2))[1]
    after = changed(RESTORED, {slot_of(RESTORED, va_of(FIRST_FOLIO, 2))[0]: raw & ~RW}, tmp_path / "changed.core")
    other = replay(OPTIMIZED_1G, after, engine=other_variant)
    assert (other.differences_of_variant, other.differences_found) == (
        outcome.differences_of_variant,
        outcome.differences_found + 1,
    )


def test_an_engine_that_leaves_more_than_its_variant_does_has_no_difference_explained() -> None:
    outcome = replay(OPTIMIZED_1G, RESTORED, engine=Careless)
    assert outcome.differences_of_variant == 0 < outcome.differences_found
    assert {one.variant for one in outcome.differences} == {""}


def test_struct_pages_that_stand_in_for_a_kernels_code_are_gone_afterwards() -> None:
    usual, other = (replay(BOOT, OPTIMIZED_2M, engine=engine) for engine in (None, Hvo))
    assert (other.differences, other.entries_compared) == ((), usual.entries_compared)
    assert other.struct_pages_compared == usual.struct_pages_compared
    # all that a leaf maps is taken for boot memory, not only what HVO's model asks about
    assert [one.count for one in usual.left_out][:1] == [65]
    assert [one.count for one in other.left_out][:1] == [512]
    assert other.left_out[1:] == usual.left_out[1:]
