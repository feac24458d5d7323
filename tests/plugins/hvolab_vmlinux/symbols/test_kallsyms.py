# SPDX-License-Identifier: GPL-2.0-only
"""The symbols that an image carries: every layout, long names, per-CPU symbols; and nothing where there are none."""

from __future__ import annotations

import random

import pytest

from hvolab_vmlinux.symbols.kallsyms import find_kallsyms
from tests.plugins.hvolab_vmlinux.made_up_kernels import kallsyms

BASE = 0xFFFFFFFF81000000
LAYOUTS = ("before-names", "after-index", "place")


def symbols(count: int, *, seed: int = 3) -> list[tuple[str, int]]:
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789_.$"
    names = ["".join(chance.choices(letters, k=chance.randrange(3, 24))) + f"_{n}" for n in range(count)]
    names[count // 2] = "very_" * 60 + "long"  # its length takes two bytes
    names[count // 3] = "vmemmap_optimize"  # of tokens that stand for more than themselves
    return [(name, BASE + 48 * number) for number, name in enumerate(names)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [600, 768, 769, 5000])
def test_every_layout_gives_every_name_and_address(layout: str, count: int) -> None:
    wanted = symbols(count)
    prefix = random.Random(5).randbytes(4099)
    table, _ = kallsyms(wanted, layout, BASE, len(prefix))
    found = find_kallsyms(prefix + table)
    assert found is not None
    assert (found.layout, found.names.count) == (layout, count)
    # numbers that say how far it is from where they stand count from the image's first byte here
    base = BASE + found.table_at if found.base is None else found.base
    names = found.names.text.decode().split("\0")[:-1]
    assert list(zip(names, found.addresses(base).tolist(), strict=True)) == wanted
    assert set(found.names.letters.tolist()) == {ord("T")}


@pytest.mark.parametrize("layout", ["before-names", "after-index"])
def test_symbols_of_a_per_cpu_segment_at_zero_have_their_own_addresses(layout: str) -> None:
    wanted = [(f"per_cpu_{number}", 8 * number) for number in range(300)] + symbols(600)
    table, _ = kallsyms(wanted, layout, BASE, per_cpu=True)
    found = find_kallsyms(table)
    assert found is not None
    assert found.per_cpu
    assert found.addresses(BASE).tolist() == [va for _, va in wanted]


def test_a_relative_base_that_a_relocation_fills_in_is_zero_and_its_place_is_known() -> None:
    table, base_at = kallsyms(symbols(600), "after-index", BASE, zero_base=True)
    found = find_kallsyms(table)
    assert found is not None
    assert (found.base, found.base_at) == (0, base_at)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(100_000),
        b"".join(bytes((digit, 0)) for digit in b"0123456789") * 50,
        random.Random(1).randbytes(99_999),
    ],
    ids=["nothing", "zeros", "digits", "noise"],
)
def test_where_there_are_no_symbols_none_are_found(content: bytes) -> None:
    assert find_kallsyms(content) is None


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_tables_that_are_damaged_give_symbols_or_none_and_no_traceback(layout: str) -> None:
    table, _ = kallsyms(symbols(700), layout, BASE)
    chance = random.Random(7)
    none = 0
    for number in range(200):
        changed = bytearray(table)
        if number % 4 == 0:
            del changed[chance.randrange(len(table)) :]
        else:
            for _ in range(chance.randrange(1, 9)):
                changed[chance.randrange(len(table))] = chance.randrange(256)
        none += find_kallsyms(bytes(changed)) is None
    assert none > 20
