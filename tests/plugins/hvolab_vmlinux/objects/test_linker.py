# SPDX-License-Identifier: GPL-2.0-only
"""Linker: places of sections, addresses of symbols, traps for missing functions."""

from __future__ import annotations

import pytest

from hvolab_vmlinux.errors import ObjectFileError
from hvolab_vmlinux.objects.linker import PAGE, LinkedObject, link, machine_of
from tests.plugins.hvolab_vmlinux.objects.made_up_objects import (
    DATA,
    LOCAL,
    SECTION,
    WEAK,
    MadeUpObject,
    MadeUpSection,
    MadeUpSymbol,
)

BASE = 0xFFFFFFFF84000000
IMAGE = {"copy_page": 0xFFFFFFFF81000100, "hugetlb_key": 0xFFFFFFFF83000000}
SYMBOLS = (
    MadeUpSymbol("copy_page"),
    MadeUpSymbol("no_such_function"),
    MadeUpSymbol("weak_one", binding=WEAK),
    MadeUpSymbol("hugetlb_key", 2, 0, DATA),
    MadeUpSymbol("enabled", 2, 8, DATA, LOCAL),
    MadeUpSymbol("", 2, 0, SECTION, LOCAL),
    MadeUpSymbol("optimize", 1, 0),
)


def linked(*relocations: tuple[int, int, int, int]) -> LinkedObject:
    """Link an object with pointers in its data."""
    data = MadeUpSection(".data", bytes(64), "data", relocations)
    text = MadeUpSection(".text", b"\x90" * 32)
    return link(MadeUpObject([text, data], SYMBOLS).object(), BASE, IMAGE.get)


def pointers(one: LinkedObject, count: int) -> list[int]:
    place = one.section(".data")
    assert place is not None
    return [int.from_bytes(one.read(place[0] + 8 * index, 8), "little") for index in range(count)]


def test_symbols_are_the_images_or_the_objects_own() -> None:
    one = linked(*((8 * index, 1, index + 1, 0) for index in range(7)))
    data = one.base + 2 * PAGE
    trap = one.base + PAGE
    assert pointers(one, 7) == [IMAGE["copy_page"], trap, 0, IMAGE["hugetlb_key"], data + 8, data, BASE]
    assert one.missing == {"no_such_function": trap}
    assert set(one.shared) == {"copy_page", "hugetlb_key"}
    assert one.read(trap, 2) == b"\xcc\xcc"
    assert (one.code_end, one.text_end) == (BASE + 32, BASE + 2 * PAGE)


def test_an_entry_holds_an_address_for_all_that_load_it() -> None:
    one = linked((0, 9, 1, 0), (8, 9, 1, 0), (16, 9, 7, 0))
    place = one.section(".data")
    assert place is not None
    first, second, third = (
        place[0] + offset + int.from_bytes(one.read(place[0] + offset, 4), "little") for offset in (0, 8, 16)
    )
    assert first == second == third - 8
    assert [one.read(at, 8) for at in (first, third)] == [
        IMAGE["copy_page"].to_bytes(8, "little"),
        BASE.to_bytes(8, "little"),
    ]


def test_sections_that_boot_reads_are_left_out_and_nothing_may_refer_to_them() -> None:
    left_out = MadeUpSection("__mcount_loc", bytes(8), "rodata")
    text = MadeUpSection(".text", bytes(16), relocations=[(0, 1, 1, 0)])
    one = MadeUpObject([left_out, text], [MadeUpSymbol("", 1, 0, SECTION, LOCAL)]).object()
    with pytest.raises(ObjectFileError, match="the section in __mcount_loc, which is not loaded"):
        link(one, BASE, IMAGE.get)


def test_an_unknown_machine_is_an_error() -> None:
    with pytest.raises(ObjectFileError, match="EM_S390 cannot be linked"):
        machine_of("EM_S390")
