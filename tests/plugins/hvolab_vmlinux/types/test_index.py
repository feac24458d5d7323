# SPDX-License-Identifier: GPL-2.0-only
"""The index of a BTF section: numbers by name, strings, and sections that are damaged."""

from __future__ import annotations

import struct

import pytest

from hvolab_vmlinux.errors import TypeInfoError
from hvolab_vmlinux.types.index import Kind, read_index
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder


def content() -> bytes:
    built = BtfBuilder()
    long = built.integer("long", 8)
    built.struct("page", 8, [("flags", long, 0)])
    built.typedef("page", 2)
    return built.content()


def test_types_are_found_by_name_at_their_first_words() -> None:
    index = read_index(content())
    assert len(index) == 4  # void too
    assert index.numbers("page") == (2, 3)
    assert index.numbers("nothing") == ()
    assert [int(index.words[start + 1]) >> 24 for start in index.starts[1:].tolist()] == [
        Kind.INT,
        Kind.STRUCT,
        Kind.TYPEDEF,
    ]
    assert index.string(index.string_offsets("flags")[0]) == "flags"


@pytest.mark.parametrize("offset", [-1, 1 << 20])
def test_a_string_beyond_the_section_is_refused(offset: int) -> None:
    with pytest.raises(TypeInfoError, match="beyond the string section"):
        read_index(content()).string(offset)


@pytest.mark.parametrize(
    ("at", "word", "what"),
    [(28, 31 << 24, "type 1 is of unknown kind 31"), (28, Kind.STRUCT << 24 | 900, "its last type ends at word")],
)
def test_types_that_do_not_follow_each_other_are_refused(at: int, word: int, what: str) -> None:
    changed = bytearray(content())
    struct.pack_into("<I", changed, at, word)
    with pytest.raises(TypeInfoError, match=what):
        read_index(bytes(changed))
