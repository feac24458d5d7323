# SPDX-License-Identifier: GPL-2.0-only
"""Static branches: jumps and NOPs as the keys require."""

from __future__ import annotations

import struct

import pytest

from hvolab_vmlinux.errors import ObjectFileError
from hvolab_vmlinux.objects.linker import LinkedObject, link
from hvolab_vmlinux.objects.static_branches import set_branches
from tests.plugins.hvolab_vmlinux.objects.made_up_objects import MadeUpObject, MadeUpSection

BASE, ON, OFF = 0xFFFFFFFF84000000, 0xFFFFFFFF83000000, 0xFFFFFFFF83000010
LONG_NOP = bytes.fromhex("0f1f440000")


def linked(code: bytes, *branches: tuple[int, int, int]) -> LinkedObject:
    """Link an object with branches: offsets of code and target, key with its flags."""
    made = MadeUpObject(
        [MadeUpSection(".text", code), MadeUpSection("__jump_table", bytes(16 * len(branches)), "data")]
    )
    one = link(made.object(), BASE, lambda _: None)
    place = one.section("__jump_table")
    for index, (at, to, key) in enumerate(branches):
        entry = 0 if place is None else place[0] + 16 * index
        one.write(entry, struct.pack("<iiq", BASE + at - entry, BASE + to - entry - 4, key - entry - 8))
    return one


@pytest.mark.parametrize(
    ("code", "key", "expected"),
    [
        ("eb0e", OFF, "6690"),
        ("eb0e", OFF | 2, "6690"),
        ("eb0e", OFF | 1, "eb0e"),
        ("6690", ON, "eb0e"),
        ("6690", ON | 1, "6690"),
        ("0f1f440000", ON, "e90b000000"),
        ("e90b000000", OFF, "0f1f440000"),
    ],
)
def test_a_branch_is_taken_if_its_key_is_enabled_unless_the_flag_inverts_it(code: str, key: int, expected: str) -> None:
    one = linked(bytes.fromhex(code).ljust(32, b"\x90"), (0, 16, key))
    assert set_branches(one, lambda va: va == ON) == (code != expected)
    assert one.read(BASE, len(expected) // 2).hex() == expected


def test_another_instruction_is_an_error() -> None:
    with pytest.raises(ObjectFileError, match="neither a NOP nor a jump: c3 90 90 90"):
        set_branches(linked(b"\xc3".ljust(32, b"\x90"), (0, 16, OFF)), bool)


def test_an_object_without_branches_is_left_alone() -> None:
    made = link(MadeUpObject([MadeUpSection(".text", b"\xc3")]).object(), BASE, lambda _: None)
    assert set_branches(made, bool) == 0
