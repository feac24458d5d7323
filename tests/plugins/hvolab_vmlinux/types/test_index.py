# SPDX-License-Identifier: GPL-2.0-only
"""The index of a BTF section: numbers by name, strings, and sections that are damaged."""

from __future__ import annotations

import struct

import pytest

from hvolab_vmlinux.errors import TypeInfoError
from hvolab_vmlinux.types.btf import Types
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
    [
        (28, 99 << 24, "damaged: type 1 is of unknown kind 99"),
        (28, Kind.STRUCT << 24 | 900, "its last type ends at word"),
    ],
)
def test_types_that_do_not_follow_each_other_are_refused(at: int, word: int, what: str) -> None:
    changed = bytearray(content())
    struct.pack_into("<I", changed, at, word)
    with pytest.raises(TypeInfoError, match=what):
        read_index(bytes(changed))


def newer_content(*, layout: bool, kind: int = 21, extra: int = 8, each: int = 4) -> bytes:
    """Return types of which the second is of a kind that hvolab does not know."""
    built = BtfBuilder()
    long = built.integer("long", 8)
    built.add("novel", kind, 7, [1, 2, 3, 4], count=2)
    built.struct("page", 8, [("flags", long, 0)])
    layouts = b"".join(struct.pack("<BBH", 0, 0, 0) for _ in range(kind)) + struct.pack("<BBH", extra, each, 0)
    return built.content(layouts if layout else b"")


def test_a_kind_that_is_newer_is_skipped_by_its_size_in_the_layout_section() -> None:
    types = Types(read_index(newer_content(layout=True)))
    assert types.offset("page", "flags") == 0
    with pytest.raises(TypeInfoError, match="newer than hvolab: the size of type 2"):
        types.type_size(2)
    assert "novel" in types.type_name(2)


def test_a_newer_format_is_told_from_damage() -> None:
    with pytest.raises(TypeInfoError, match="newer than hvolab: type 2 is of unknown kind 21, and it has no layout"):
        read_index(newer_content(layout=False))
    with pytest.raises(TypeInfoError, match="the BTF is damaged"):
        read_index(newer_content(layout=True, extra=12))
    version = bytearray(content())
    version[2] = 2
    with pytest.raises(TypeInfoError, match="newer than hvolab: it has version 2"):
        read_index(bytes(version))


def test_counts_have_24_bits() -> None:
    built = BtfBuilder()
    built.enum("many", [("one", 1)] * 70_000)
    built.integer("after", 4)
    assert read_index(built.content()).numbers("after") == (2,)
