# SPDX-License-Identifier: GPL-2.0-only
"""Choosing among what is declared, and descriptions that contradict themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import (
    Architecture,
    EntryKind,
    Feature,
    Field,
    Match,
    Pgprot,
    PgprotRole,
    ReleaseChange,
    UpdateRule,
    values,
)
from hvolab.errors import DescriptionError, UsageError
from hvolab.release import DEFAULT, RELEASES
from tests.made_up import MADE_UP, MODE
from tests.parts import part

RO = PgprotRole.KERNEL_RO
WP, SW = 1 << 2, 1 << 3


def test_the_first_of_everything_is_the_default() -> None:
    target = MADE_UP.select()
    assert (target.mode.name, target.profile, target.release.name, target.features) == ("crooked", "linux", "6.12", ())
    assert str(target) == "made-up crooked linux 6.12"
    assert str(MADE_UP.select(features=("guard", "blunt"))) == "made-up crooked linux 6.12 +guard,blunt"


@pytest.mark.parametrize(
    ("profile", "release", "bits"),
    [("linux", "6.12", 0), ("linux", "6.1", WP | SW), ("strict", "6.12", WP), ("strict", "6.1", WP)],
)
def test_the_first_protection_of_profile_and_release_counts(profile: str, release: str, bits: int) -> None:
    target = MADE_UP.select(profile=profile, release=release)
    assert target.bits("last", RO) & (WP | SW) == bits
    assert target.tails_fault is bool(bits & WP)


def test_a_feature_sets_its_field_everywhere_and_clears_others() -> None:
    plain, both = MADE_UP.select(release="6.1"), MADE_UP.select(release="6.1", features=("blunt", "guard"))
    assert both.bits("last", RO) == plain.bits("last", RO) & ~SW | 1 << 50
    assert both.bits("middle", PgprotRole.TABLE) == plain.bits("middle", PgprotRole.TABLE) | 1 << 50


def test_a_feature_with_places_has_its_field_at_a_chosen_bit() -> None:
    movable = replace(MADE_UP, features=tuple(replace(one, places=range(48, 52)) for one in MADE_UP.features))
    (field,) = movable.feature("guard").adds
    assert movable.feature(f"guard={field.low}") == movable.feature("guard")
    moved = movable.feature("guard=51")
    assert (moved.name, moved.adds) == ("guard=51", (replace(field, low=51),))
    assert movable.select(features=("guard=51",)).features == ("guard=51",)
    for name in ("guard=47", "guard=52", "guard=", "guard=x"):
        with pytest.raises(UsageError, match=f"cannot be '{name}'") as caught:
            movable.feature(name)
        assert "48 to 51" in caught.value.hint
    with pytest.raises(UsageError, match="cannot be") as caught:
        MADE_UP.feature("guard=51")
    assert "cannot be chosen" in caught.value.hint


def test_a_feature_named_twice_counts_once() -> None:
    assert MADE_UP.select(features=("guard", "guard")).features == ("guard",)


@pytest.mark.parametrize(
    ("choice", "message", "hint"),
    [
        ({"mode": "straight"}, "no paging mode 'straight'", "crooked"),
        ({"profile": "lax"}, "no profile 'lax'", "linux, strict"),
        ({"release": "5.4"}, "kernel release '5.4'", ", ".join(map(str, RELEASES))),
        ({"features": ("sme",)}, "no feature 'sme'", "guard, blunt"),
    ],
)
def test_what_is_not_declared_is_refused_with_what_is(choice: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        MADE_UP.select(**choice)  # type: ignore[arg-type]
    assert hint in caught.value.hint


def test_releases_for_some_architectures_are_offered_by_those_that_declare_something() -> None:
    rare = next(release for release in RELEASES if not release.anywhere)
    assert MADE_UP.offered == (DEFAULT, *(each for each in RELEASES if each.anywhere and each is not DEFAULT))
    with pytest.raises(UsageError, match="has no kernel release") as caught:
        MADE_UP.select(release=rare)
    assert caught.value.hint == f"choose one of {', '.join(map(str, MADE_UP.offered))}"
    declaring = replace(MADE_UP, changes=(ReleaseChange(rare.name, "for a test"),))
    assert declaring.offered == (*MADE_UP.offered, rare)
    assert declaring.select(release=rare).release is rare


def test_a_feature_of_another_mode_is_refused_with_its_modes() -> None:
    straight = replace(MODE, name="straight")
    elsewhere = Feature("elsewhere", "for a test", modes=("straight",))
    architecture = replace(MADE_UP, modes=(MODE, straight), features=(elsewhere,))
    assert architecture.select("straight", features=("elsewhere",)).features == ("elsewhere",)
    with pytest.raises(UsageError, match="'elsewhere' does not exist in mode crooked") as caught:
        architecture.select(features=("elsewhere",))
    assert "straight" in caught.value.hint


def test_bases_move_where_a_boot_moved_them() -> None:
    mode = MADE_UP.select(direct_map_base=0xFFFFFFD000000000, vmemmap_base=0xFFFFFFE000000000).mode
    assert (mode.direct_map_base, mode.vmemmap_base) == (0xFFFFFFD000000000, 0xFFFFFFE000000000)
    with pytest.raises(DescriptionError, match="the base of the vmemmap, 0x1000, is not a kernel VA"):
        MADE_UP.select(vmemmap_base=0x1000)


def test_the_description_itself_holds() -> None:
    MADE_UP.check()


_TWO_OF_A_STEP = replace(part(), sequences=part().sequences * 2)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (replace(MADE_UP, name=""), "needs a name"),
        (replace(MADE_UP, modes=()), "at least one paging mode"),
        (replace(MADE_UP, byte_order="middle"), "byte order 'middle'"),  # type: ignore[arg-type]
        (replace(MADE_UP, entry_byte_order="middle"), "byte order of entries 'middle'"),  # type: ignore[arg-type]
        (replace(MADE_UP, modes=(MODE, MODE)), "two modes of made-up have the same name"),
        (replace(MADE_UP, features=MADE_UP.features[:1] * 2), "two features of made-up have the same name"),
        (replace(MADE_UP, modes=(replace(MODE, va_bits=44),)), "the levels index"),
        (replace(MADE_UP, emulation=_TWO_OF_A_STEP), "enter is declared twice"),
        (replace(MADE_UP, emulation=part()), "does not declare the base of the kernel's image"),
        (replace(MADE_UP, pgprots=MADE_UP.pgprots[1:]), "declares no PAGE_KERNEL for profile linux"),
        (replace(MADE_UP, pgprots=MADE_UP.pgprots[:2]), "declares no PAGE_KERNEL_RO for profile linux"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(broken: Architecture, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        broken.check()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (values("VALID", TYPE=2), "what is writable must be readable"),
        (values("VALID", "R", "NX", TYPE=2), "no field 'NX'"),
        (values("VALID", "R", TYPE=1), "of no form, not a leaf; the nearest form is a leaf"),
    ],
)
def test_a_protection_that_no_entry_may_have_is_a_wrong_description(
    fields: tuple[tuple[str, int], ...], message: str
) -> None:
    wrong = Pgprot(PgprotRole.KERNEL, "PAGE_KERNEL", fields)
    with pytest.raises(DescriptionError, match=message) as caught:
        replace(MADE_UP, pgprots=(wrong, *MADE_UP.pgprots)).check()
    assert "crooked, profile linux, release 6.12" in caught.value.where


# What a feature changes beside bits.


def with_feature(**changes: object) -> Architecture:
    feature = Feature("extra", "for a test", **changes)  # type: ignore[arg-type]
    return replace(MADE_UP, features=(*MADE_UP.features, feature))


def test_a_feature_can_change_traits_and_what_the_mmu_does() -> None:
    architecture = with_feature(traits=(("flush_all_effective", False),), mmu=(("accessed_by", UpdateRule.WALKER),))
    plain, extra = architecture.select(), architecture.select(features=("extra",))
    assert (plain.traits.flush_all_effective, extra.traits.flush_all_effective) == (True, False)
    assert (plain.mmu.accessed_by, extra.mmu.accessed_by) == (UpdateRule.SOFTWARE, UpdateRule.WALKER)
    assert extra.traits.memory_order is plain.traits.memory_order


def test_a_feature_can_add_its_field_to_leaves_alone() -> None:
    extra = with_feature(adds=(Field("SECRET", 49, 1),), adds_to=(EntryKind.LEAF,)).select(features=("extra",))
    assert "SECRET" in extra.mode.format.form("last", EntryKind.LEAF).by_name
    assert "SECRET" not in extra.mode.format.form("middle", EntryKind.TABLE).by_name


def test_a_feature_can_add_a_huge_page_size_and_a_form_that_is_recognized_first() -> None:
    plain_leaf = MODE.format.form("middle", EntryKind.LEAF)
    marked = replace(plain_leaf, recognize=(Match(1 << 10 | 1 << 63, 1 << 10 | 1 << 63),), source="extra form")
    extra = with_feature(forms=(marked,), huge_page_levels=(("last", 16),)).select(features=("extra",))
    assert [page.size for page in extra.mode.huge_pages] == [1 << 18, 2 << 20, 32 << 20, 128 << 20]
    leaf = MADE_UP.select().leaf("middle", 128, PgprotRole.KERNEL_LARGE)
    for raw, source in ((leaf, plain_leaf.source), (leaf | 1 << 10, "extra form")):
        form = extra.mode.format.recognize("middle", raw)
        assert form is not None
        assert form.source == source
