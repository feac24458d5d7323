# SPDX-License-Identifier: GPL-2.0-only
"""From name to address and back: aliases, duplicates, compilers' suffixes, and advice where a name is not there."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab_vmlinux.errors import SymbolError
from hvolab_vmlinux.symbols.table import SymbolOffset, SymbolTable

NAMED = [
    ("fixed_percpu_data", 0),
    ("__pfx_first", 0x1000),
    ("first", 0x1010),
    ("also_first", 0x1010),
    ("twice", 0x1100),
    ("second.isra.0", 0x1200),
    ("second.cold", 0x1280),
    ("twice", 0x1300),
    ("hugetlb_vmemmap_optimize_folio", 0xFFFFFFFF813E5270),
]
TABLE = SymbolTable.of(
    np.array([va for _, va in reversed(NAMED)], np.uint64),
    np.full(len(NAMED), ord("t"), np.uint8),
    b"".join(name.encode() + b"\0" for name, _ in reversed(NAMED)),
)


def test_a_name_has_its_address() -> None:
    assert TABLE.address("first") == TABLE.address("also_first") == 0x1010
    assert TABLE.address("hugetlb_vmemmap_optimize_folio") == 0xFFFFFFFF813E5270
    assert TABLE.find("first") == 0x1010
    assert TABLE.find("nothing") is None
    assert TABLE.all("nothing") == ()
    assert len(TABLE) == len(NAMED)


def test_an_address_is_so_far_behind_a_symbol() -> None:
    assert TABLE.at(0x1010) == SymbolOffset("also_first", 0)
    assert str(TABLE.at(0x1014)) == "also_first+0x4"
    assert str(TABLE.at(0x1000)) == "__pfx_first"
    assert TABLE.at(0xFFFFFFFFFFFFFFFF) == SymbolOffset(
        "hugetlb_vmemmap_optimize_folio", 0xFFFFFFFFFFFFFFFF - 0xFFFFFFFF813E5270
    )
    assert TABLE.end(0x1010) == 0x1100
    assert TABLE.end(0xFFFFFFFF813E5270) is None


def test_names_that_contain_a_text_are_found_each_once() -> None:
    assert TABLE.containing("first") == ("__pfx_first", "also_first", "first")
    assert TABLE.containing("e") == tuple(name for name in TABLE.text.decode().split("\0") if "e" in name)
    assert TABLE.containing("fixed_percpu_data") == ("fixed_percpu_data",)
    assert TABLE.containing("folio\u20ac") == ()


def test_before_the_first_symbol_there_is_none() -> None:
    table = SymbolTable.of(np.array([16], np.uint64), np.array([84], np.uint8), b"only\0")
    assert table.at(15) is None


def test_a_name_that_several_have_is_refused_with_their_addresses() -> None:
    assert TABLE.all("twice") == (0x1100, 0x1300)
    with pytest.raises(SymbolError, match="2 symbols are called 'twice'; where: 0x1100, 0x1300"):
        TABLE.address("twice")


def test_what_a_compiler_made_of_a_name_is_found() -> None:
    assert TABLE.variants("second") == ("second.isra.0",)
    assert TABLE.variants("first") == ("first",)
    assert TABLE.variants("nothing") == ()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("second", "use the name that the compiler gave it: second.isra.0"),
        ("vmemmap_optimize", "use a similar name: hugetlb_vmemmap_optimize_folio"),
        ("cond", "use a similar name: second.cold, second.isra.0"),  # by length, then by name
        ("zebra", "check the spelling"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_advice(name: str, advice: str) -> None:
    with pytest.raises(SymbolError, match=advice):
        TABLE.address(name)
