# SPDX-License-Identifier: GPL-2.0-only
"""Findings name the invariant that they break."""

from __future__ import annotations

import pytest

from hvolab.invariants import INVARIANTS
from hvolab.release.releases import V6_12, V7_2
from hvolab.serialize import as_data
from hvolab_vmcore.scan.finding import KINDS, CoreFinding, broken_invariant


def test_each_kind_breaks_a_registered_invariant_or_is_about_the_entry_itself() -> None:
    names = {invariant.name for invariant in INVARIANTS}
    assert set(KINDS.values()) <= names | {None}
    assert {kind for kind, name in KINDS.items() if name is None} == {"illegal-entry", "large-leaf"}


@pytest.mark.parametrize(("kind", "number"), [("writable-tail", 6), ("two-owners", 4), ("foreign-frame", 1)])
def test_the_invariant_is_that_of_the_variant(kind: str, number: int) -> None:
    (invariant,) = (one for one in INVARIANTS if one.number == number)
    assert broken_invariant(kind, V6_12.variant) == (invariant.name, number)
    assert broken_invariant(kind, V7_2.variant) == (
        (invariant.name, number) if invariant.applies_to(V7_2.variant) else (None, None)
    )


def test_json_has_name_and_number_of_the_invariant_and_hex_vas_and_pfns() -> None:
    finding = CoreFinding("two-owners", "a text", 0xFFFFEA0000000000, 1, "0x0", 0x549D, None, False, "ownership", 4)
    assert as_data(finding) == {
        "kind": "two-owners", "text": "a text", "va": "0xffffea0000000000", "pages": 1, "entry": "0x0",
        "pfn": "0x549d", "folio": None, "declared": False, "rule": "ownership", "number": 4,
    }  # fmt: skip
    bare = as_data(CoreFinding("illegal-entry", "a text", 0, 1, "0x0", None, None))
    assert (bare["rule"], bare["number"]) == (None, None)
