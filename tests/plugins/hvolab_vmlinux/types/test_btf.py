# SPDX-License-Identifier: GPL-2.0-only
"""Layouts, enumerators and prototypes from type information built by hand; damaged information is refused."""

from __future__ import annotations

import random

import pytest

from hvolab_vmlinux.errors import TypeInfoError
from hvolab_vmlinux.types.btf import Types
from hvolab_vmlinux.types.index import Kind, read_index
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder


def built() -> BtfBuilder:
    made = BtfBuilder()
    long = made.integer("long unsigned int", 8)
    signed = made.integer("int", 4, signed=True)
    links = made.struct("list_head", 16, [("next", long, 0), ("prev", long, 64)])
    inner = made.struct("", 16, [("lru", links, 0), ("compound_head", long, 0)], kind=Kind.UNION)
    page = made.struct("page", 24, [("flags", long, 0), ("", inner, 64)])
    made.bit_fields("bits", 4, [("low", signed, 0, 3), ("high", signed, 3, 29)])
    made.enum("pageflags", [("PG_locked", 0), ("PG_reserved", 13), ("PG_none", -1)], signed=True)
    made.enum64("wide", [("WIDE", 1 << 40), ("MINUS", -2)], signed=True)
    made.typedef("page_t", made.add("", Kind.CONST, page))
    array = made.add("", Kind.ARRAY, 0, [page, long, 4])
    made.struct("pages", 96, [("all", array, 0)])
    folio = made.add("folio", Kind.FORWARD, 0)
    made.function(
        "optimize",
        signed,
        [
            ("h", made.pointer(made.add("", Kind.CONST, page))),
            ("folio", made.pointer(made.pointer(folio))),
            ("n", signed),
        ],
    )
    callback = made.pointer(made.add("", Kind.PROTOTYPE, 0))
    made.function("nothing", 0, [("call", callback)])
    made.function("print", 0, [("format", made.pointer(long)), ("", 0)])
    return made


TYPES = Types(read_index(built().content()))


def test_members_have_offsets_also_through_anonymous_ones_and_dots() -> None:
    assert TYPES.size("page") == 24
    assert TYPES.offset("page", "flags") == 0
    assert TYPES.offset("page", "lru") == TYPES.offset("page", "compound_head") == 8
    assert TYPES.offset("page", "lru.prev") == 16
    assert TYPES.offset("page_t", "lru.prev") == 16
    assert TYPES.has_member("page", "lru")
    assert not TYPES.has_member("page", "lru.nothing")
    assert not TYPES.has_member("nothing", "lru")
    assert TYPES.type_size(TYPES.member("pages", "all").type) == 96
    assert TYPES.type_name(TYPES.member("pages", "all").type) == "struct page[4]"


def test_an_offset_has_the_path_of_the_member_there() -> None:
    assert TYPES.path_at("page", 16) == "lru.prev"
    assert TYPES.path_at("page", 0) == "flags"
    assert TYPES.path_at("page", 4) is None
    assert TYPES.path_at("nothing", 4) is None


def test_bit_fields_have_bits() -> None:
    found = TYPES.member("bits", "high")
    assert (found.bit, found.bits) == (3, 29)
    with pytest.raises(TypeInfoError, match=r"bits.high is a bit field, at bit 3, 29 bits wide"):
        TYPES.offset("bits", "high")


def test_enumerators_have_values_with_their_sign() -> None:
    assert [TYPES.enumerator(name) for name in ("PG_reserved", "PG_none", "WIDE", "MINUS")] == [13, -1, 1 << 40, -2]
    assert TYPES.find_enumerator("PG_locked") == 0
    assert TYPES.find_enumerator("flags") is None


def test_functions_have_prototypes_in_words() -> None:
    found = TYPES.prototype("optimize")
    assert str(found) == "int optimize(const struct page * h, struct folio ** folio, int n)"
    assert found is not None
    assert [(one.size, one.signed) for one in found.parameters] == [(8, False), (8, False), (4, True)]
    assert str(TYPES.prototype("nothing")) == "void nothing(function * call)"
    assert TYPES.prototype("page") is None


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda: TYPES.size("folio"), "no struct or union 'folio'"),
        (lambda: TYPES.offset("page", "zone"), "has no member 'zone'; .*hint: choose one of flags, .anonymous."),
        (lambda: TYPES.enumerator("PG_zebra"), "no enumerator 'PG_zebra'"),
        (lambda: read_index(b"nothing"), "it has 7 bytes"),
        (lambda: read_index(bytes(64)), "it begins with 00 00"),
        (lambda: read_index(built().content()[:-30]), "its sections end beyond"),
    ],
)
def test_what_is_not_there_is_refused(ask: object, what: str) -> None:
    assert callable(ask)
    with pytest.raises(TypeInfoError, match=what):
        ask()


def test_types_that_are_nested_in_themselves_are_refused() -> None:
    made = BtfBuilder()
    made.typedef("loop", 1)
    made.struct("tower", 8, [("", 2, 0)])
    types = Types(read_index(made.content()))
    with pytest.raises(TypeInfoError, match="nested in itself"):
        types.size("loop")
    with pytest.raises(TypeInfoError, match="nested in itself"):
        types.offset("tower", "top")


def test_damaged_information_is_read_or_refused() -> None:
    whole, chance = built().content(), random.Random(11)
    refused = 0
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            changed[chance.randrange(len(whole))] = chance.randrange(256)
        try:
            types = Types(read_index(bytes(changed)))
            types.offset("page", "lru.prev")
            types.path_at("page", 16)
            types.enumerator("WIDE")
            types.prototype("optimize")
            types.prototype("nothing")
        except TypeInfoError:
            refused += 1
    assert 100 < refused < 300
