# SPDX-License-Identifier: GPL-2.0-only
"""Overrides: names and types are checked against the part of the description that they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hvolab.arch import Match, MmuRules, PagingMode, Traits, UpdateRule
from hvolab.errors import DescriptionError
from hvolab.overrides import check_name, check_overrides, check_types, overridden
from tests.made_up import MADE_UP


def test_an_override_replaces_an_attribute_of_a_copy() -> None:
    traits = overridden(MADE_UP.traits, (("bootmem_info", True),))
    assert (traits.bootmem_info, MADE_UP.traits.bootmem_info) == (True, False)
    assert overridden(traits, ()) == traits


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        (MmuRules, "acessed_by", UpdateRule.WALKER, "'acessed_by' is not a field of MmuRules; where: here; hint: did"),
        (MmuRules, "accessed_by", "walker", r"MmuRules.accessed_by is 'walker' \(str\); .*; hint: give UpdateRule"),
        (MmuRules, "dirty", 1, "MmuRules.dirty is 1 .int."),
        (MmuRules, "syndrome", None, "MmuRules.syndrome is None"),
        (Traits, "live_size_change", 1, "Traits.live_size_change is 1"),
        (Traits, "zzz", 1, "'zzz' is not a field of Traits; where: here; hint: choose one of live_entries, "),
        (PagingMode, "va_bits", True, "PagingMode.va_bits is True"),
        (PagingMode, "huge_page_levels", (("pmd", "1"),), "PagingMode.huge_page_levels is"),
        (PagingMode, "huge_page_levels", ["pmd"], "PagingMode.huge_page_levels is"),
        (PagingMode, "levels", ("pmd",), "PagingMode.levels is"),
    ],
)
def test_a_wrong_override_is_refused_with_the_nearest_field(kind: type, name: str, value: Any, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        check_overrides(kind, ((name, value),), "here")


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (MmuRules, "dirty", None),
        (MmuRules, "dirty", Match(1, 1)),
        (MmuRules, "syndrome", MADE_UP.mmu.syndrome),
        (PagingMode, "huge_page_levels", (("pmd", 1), ("pud", 16))),
        (PagingMode, "huge_page_levels", ()),
        (PagingMode, "kernel_base", 1 << 63),
    ],
)
def test_a_value_of_the_declared_type_is_accepted(kind: type, name: str, value: Any) -> None:
    check_overrides(kind, ((name, value),), "here")


@dataclass(frozen=True)
class Part:
    """A dataclass with a type of each kind."""

    numbers: tuple[int, ...] = ()
    call: Callable[[], None] | None = None
    anything: Any = None


def test_every_field_of_a_part_is_checked() -> None:
    check_types(Part((1, 2), print, "x"), "here")
    with pytest.raises(DescriptionError, match=r"Part\.numbers is"):
        check_types(Part((1, "2")), "here")  # type: ignore[arg-type]
    with pytest.raises(DescriptionError, match=r"Part\.call is 3"):
        check_types(Part(call=3), "here")  # type: ignore[arg-type]


def test_a_name_of_none_is_refused() -> None:
    with pytest.raises(DescriptionError, match="'x' is not a mode; where: here; hint: choose one of none"):
        check_name("mode", "x", (), "here")
