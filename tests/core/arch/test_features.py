# SPDX-License-Identifier: GPL-2.0-only
"""Features and release changes: applied in any order, and refused when they name something that does not exist."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from hvolab.arch import (
    CpuMode,
    EntryForm,
    EntryKind,
    EntryRule,
    Feature,
    Field,
    Match,
    PgprotRole,
    ReleaseChange,
    UpdateRule,
    WalkLimit,
)
from hvolab.arch.features import with_features
from hvolab.errors import DescriptionError, EncodingError
from tests.made_up import MADE_UP, MODE
from tests.parts import part

_MARK = 1 << 10


def marked_leaf() -> EntryForm:
    """A second form of leaf at the last level, with a bit of the address as its mark."""
    plain = MODE.format.form("last", EntryKind.LEAF)
    match = Match(plain.recognize[0].mask | _MARK, plain.recognize[0].value | _MARK)
    return replace(plain, recognize=(match,), source="marked")


FORM = Feature("marked", "for a test", forms=(marked_leaf(),))
FIELD = Feature("memory", "for a test", adds=(Field("MEMORY", 58, 2),), adds_to=(EntryKind.LEAF,))


@pytest.mark.parametrize("features", list(permutations((FORM, FIELD))))
def test_the_order_of_features_does_not_matter_to_entries(features: tuple[Feature, ...]) -> None:
    mode = with_features(MODE, features)
    assert all("MEMORY" in form.by_name for form in mode.format.forms if form.kind is EntryKind.LEAF)
    assert mode.format == with_features(MODE, (FORM, FIELD)).format


def test_a_rule_of_a_feature_holds_with_it_alone() -> None:
    rule = EntryRule(Match(3 << 58, 3 << 58), "MEMORY 3 is reserved", "made-up manual, 3.9")
    architecture = replace(MADE_UP, features=(replace(FIELD, rules=(rule,)),))
    target = architecture.select(features=("memory",))
    leaf = target.leaf("last", 0, PgprotRole.KERNEL)
    assert dict(target.decode("last", leaf | 2 << 58).fields)["MEMORY"] == 2
    with pytest.raises(EncodingError, match=r"MEMORY 3 is reserved; .*rule: made-up manual, 3.9"):
        target.decode("last", leaf | 3 << 58)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mmu": (("acessed_by", UpdateRule.WALKER),)}, "'acessed_by' is not a field of MmuRules; .*'accessed_by'"),
        ({"mmu": (("accessed_by", True),)}, "MmuRules.accessed_by is True"),
        ({"mmu": "accessed_by"}, "Feature.mmu is 'accessed_by'"),
        ({"traits": (("memory_ordre", None),)}, "'memory_ordre' is not a field of Traits; .*'memory_order'"),
        ({"geometry": (("crocked", ()),)}, "'crocked' is not a paging mode; .*did you mean 'crooked'"),
        ({"geometry": (("crooked", (("va_bit", 48),)),)}, "'va_bit' is not a field of PagingMode; .*'va_bits'"),
        ({"modes": ("crocked",)}, "'crocked' is not a paging mode"),
        ({"clears": ("AA",)}, "'AA' is not a field of an entry; .*did you mean 'A'"),
        ({"sets": (("NX", 1),)}, "'NX' is not a field of an entry"),
        ({"sets": (("A",),)}, "Feature.sets is"),
        ({"adds": (Field("CLASH", 62, 2),)}, "CLASH .* overlaps another field"),
    ],
)
def test_a_wrong_feature_is_refused_when_it_is_described(changes: dict[str, Any], message: str) -> None:
    feature = Feature("extra", "for a test", **changes)
    with pytest.raises(DescriptionError, match=message):
        replace(MADE_UP, features=(feature,)).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (ReleaseChange("6.2", "for a test"), "'6.2' is not a release; where: made-up, change of release '6.2'"),
        (ReleaseChange("6.1", "for a test", traits=(("bootmem", True),)), "'bootmem' is not a field of Traits"),
        (ReleaseChange("6.1", "for a test", mmu=(("dirty", 1),)), "MmuRules.dirty is 1"),
    ],
)
def test_a_wrong_change_of_a_release_is_refused(change: ReleaseChange, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        replace(MADE_UP, changes=(change,)).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"walks": (WalkLimit("odd", mmu=(("wirte", None),)),)}, "'wirte' is not a field of MmuRules; .*limit 'odd'"),
        ({"cpu_modes": (CpuMode("wp=0", "", mmu=(("write", 1),)),)}, "MmuRules.write is 1 .*CPU mode 'wp=0'"),
        ({"cpu_modes": (CpuMode("wp=0", "", clears="W"),)}, "CpuMode.clears is 'W'"),  # type: ignore[arg-type]
    ],
)
def test_wrong_overrides_of_an_emulation_part_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        replace(part(), **changes).check()


def test_every_feature_is_selected_alone_and_in_pairs() -> None:
    MADE_UP.check_features()
    one = Feature("one", "for a test", adds=(Field("ONE", 58, 2),))
    two = Feature("two", "for a test", adds=(Field("TWO", 59, 2),))
    replace(MADE_UP, features=(one,)).check_features()
    with pytest.raises(DescriptionError, match="overlaps another field"):
        replace(MADE_UP, features=(one, two)).check_features()
    odd = Feature("odd", "for a test", clears=("R",))
    with pytest.raises(DescriptionError, match="makes an illegal") as caught:
        replace(MADE_UP, features=(odd,)).check_features()
    assert caught.value.where == "made-up crooked, odd"
