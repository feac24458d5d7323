# SPDX-License-Identifier: GPL-2.0-only
"""Entries of every level and form: what is encoded is decoded, and what is decoded is encoded, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hvolab.arch import (
    ADDRESS,
    AddressPart,
    EntryForm,
    EntryKind,
    Field,
    FieldValues,
    Match,
    SoftwareEntry,
    Target,
)
from hvolab.errors import DescriptionError, EncodingError
from hvolab_x86_64.description import X86_64
from tests.made_up import FORMAT, MADE_UP, MANUAL, PAGE_SHIFT

TARGETS = [
    X86_64.select("4-level"),
    X86_64.select("5-level"),
    X86_64.select("4-level", features=("sme", "pti")),
    MADE_UP.select(),
    MADE_UP.select(features=("guard",)),
]
#: Every level and form of every target.
PLACES = [
    pytest.param(target, level, form, id=f"{target}: {form.kind.value} at {level}")
    for target in TARGETS
    for form in target.mode.format.forms
    for level in form.levels
]
EVERY_PLACE = pytest.mark.parametrize(("target", "level", "form"), PLACES)


def fields_of(draw: Any, form: EntryForm) -> FieldValues:
    """A value for each field; those that tell the form have the value that tells it."""
    match = form.recognize[0]
    chosen = []
    for field in form.fields:
        free = draw(st.integers(0, field.limit - 1))
        fixed = field.get(match.mask)
        chosen.append((field.name, free & ~fixed | field.get(match.value)))
    return tuple(chosen)


def pfn_of(draw: Any, target: Target, form: EntryForm) -> int:
    pa: int = draw(st.integers(0, (1 << 64) - 1)) & form.physical_mask
    return pa >> target.mode.page_shift


@EVERY_PLACE
@settings(max_examples=25)  # for each of some twenty places
@given(data=st.data())
def test_what_is_encoded_is_decoded(target: Target, level: str, form: EntryForm, data: st.DataObject) -> None:
    entry_format, shift = target.mode.format, target.mode.page_shift
    chosen, pfn = fields_of(data.draw, form), pfn_of(data.draw, target, form)
    raw = form.put_address(pfn << shift) | form.put_fields(chosen)
    assume(not any(rule.broken_by.accepts(raw) for rule in form.rules))
    assert entry_format.encode(level, form.kind, pfn, chosen, shift) == raw
    entry = entry_format.decode(level, raw, shift)
    assert (entry.kind, entry.pfn, entry.level) == (form.kind, pfn, level)
    assert dict(entry.fields) == dict(chosen)


@EVERY_PLACE
@settings(max_examples=25)  # for each of some twenty places
@given(data=st.data(), noise=st.integers(0, (1 << 64) - 1), legal=st.booleans())
def test_what_is_decoded_is_encoded_and_what_is_refused_names_its_rule(
    target: Target, level: str, form: EntryForm, data: st.DataObject, noise: int, *, legal: bool
) -> None:
    entry_format, shift = target.mode.format, target.mode.page_shift
    raw = noise & ~form.reserved_mask(64) if legal else noise
    match = form.recognize[0]
    raw = raw & ~match.mask | match.value if data.draw(st.booleans()) else raw
    try:
        entry = entry_format.decode(level, raw, shift)
    except EncodingError as error:
        assert error.rule  # noqa: PT017 - the error is one of two outcomes
        assert level in error.where  # noqa: PT017
        return
    if entry.kind is EntryKind.NONE:
        assert not entry_format.valid.accepts(raw)
        return
    assert entry.pfn is not None
    assert entry_format.encode(level, entry.kind, entry.pfn, entry.fields, shift) == raw


@EVERY_PLACE
def test_every_reserved_bit_is_refused_and_named(target: Target, level: str, form: EntryForm) -> None:
    good = target.table(level, 0) if form.kind is EntryKind.TABLE else _leaf(target, form)
    assert target.decode(level, good).kind is form.kind
    for bit in range(64):
        if form.reserved_mask(64) >> bit & 1:
            aligns = form.kind is EntryKind.LEAF and target.page_form.address_mask >> bit & 1
            why = "output address of a leaf entry .* is a multiple of .*" if aligns else "reserved bits must be zero"
            with pytest.raises(EncodingError, match=rf"{why}, set are: {bit}\b") as caught:
                target.decode(level, good | 1 << bit)
            assert form.source in caught.value.rule


def _leaf(target: Target, form: EntryForm) -> int:
    """The leaf of a form with nothing set but what tells it, and what no rule forbids."""
    plain = form.recognize[0].value
    harmless = (plain | 1 << bit for bit in range(64) if not form.reserved_mask(64) >> bit & 1)
    return next(raw for raw in harmless if not target.mode.format.broken_rules(form.levels[0], raw))


def test_the_places_have_reserved_bits_to_refuse() -> None:
    reserved = {str(place.id): place.values[2].reserved_mask(64).bit_count() for place in PLACES}  # type: ignore[union-attr]
    assert reserved["x86_64 4-level linux 6.12: leaf at pmd"] == 8  # bits 20:13
    assert reserved["x86_64 4-level linux 6.12: leaf at pud"] == 17  # bits 29:13
    assert reserved["made-up crooked linux 6.12: leaf at middle"] == 27 + 7


@pytest.mark.parametrize(
    ("level", "raw"),
    [("root", 0), ("middle", 1 << 63 | 0b11 << 61), ("last", 1 << 63 | 0b01 << 61), ("root", 1 << 63)],
)
def test_a_valid_entry_of_no_form_is_illegal_and_an_invalid_one_is_none(level: str, raw: int) -> None:
    if not raw >> 63:
        assert FORMAT.classify(level, raw) is EntryKind.NONE
        assert FORMAT.decode(level, raw, PAGE_SHIFT).fields == ()
        return
    assert FORMAT.classify(level, raw) is EntryKind.ILLEGAL
    with pytest.raises(EncodingError, match="type bits") as caught:
        FORMAT.decode(level, raw, PAGE_SHIFT)
    assert caught.value.rule == MANUAL


def test_whatever_else_an_invalid_entry_holds_is_no_fault() -> None:
    assert FORMAT.decode("last", 0x7FFFFFFFFFFFFFFF, PAGE_SHIFT).kind is EntryKind.NONE


def test_an_entry_that_breaks_a_rule_is_refused_with_the_rule_and_its_source() -> None:
    with pytest.raises(EncodingError, match="what is writable must be readable") as caught:
        FORMAT.decode("last", 1 << 63 | 0b10 << 61, PAGE_SHIFT)
    assert caught.value.rule == "made-up manual, 3.7"
    assert "last" in caught.value.where


@pytest.mark.parametrize("raw", [-1, 1 << 64])
def test_a_number_that_is_no_entry_is_refused(raw: int) -> None:
    with pytest.raises(EncodingError, match="not an entry of 64 bits"):
        FORMAT.decode("last", raw, PAGE_SHIFT)


@pytest.mark.parametrize(
    ("pfn", "why"), [(1, "misaligned for a leaf of 128 pages"), (1 << 30, "beyond 44 bits of PA"), (-128, "negative")]
)
def test_a_frame_that_cannot_stand_in_an_entry_is_refused(pfn: int, why: str) -> None:
    chosen = (("VALID", 1), ("TYPE", 2), ("R", 1))
    assert FORMAT.encode("middle", EntryKind.LEAF, 128, chosen, PAGE_SHIFT), why
    with pytest.raises(EncodingError, match="does not fit in a leaf entry at middle") as caught:
        FORMAT.encode("middle", EntryKind.LEAF, pfn, chosen, PAGE_SHIFT)
    assert caught.value.rule == MANUAL


def test_both_parts_of_a_split_address_are_used() -> None:
    form = FORMAT.form("last", EntryKind.LEAF)
    top, bottom = 1 << 43, 1 << PAGE_SHIFT
    assert form.put_address(top) == 1 << 9
    assert form.put_address(bottom) == 1 << 30
    assert form.get_address(1 << 9 | 1 << 30) == top | bottom


@given(st.lists(st.integers(0, (1 << 30) - 1), min_size=1, max_size=20))
def test_a_run_of_frames_becomes_the_entries_that_each_alone_would(pfns: list[int]) -> None:
    form = FORMAT.form("last", EntryKind.LEAF)
    pas = np.array(pfns, dtype=np.uint64) << np.uint64(PAGE_SHIFT)
    raws = form.put_address(pas)
    assert raws.tolist() == [form.put_address(pfn << PAGE_SHIFT) for pfn in pfns]
    assert (form.get_address(raws) >> np.uint64(PAGE_SHIFT)).tolist() == pfns


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ((("HUGE", 1),), "no field 'HUGE'"),
        ((("TYPE", 4),), "4 does not fit in TYPE"),
        ((("R", -1),), "-1 does not fit"),
    ],
)
def test_a_field_that_is_not_there_or_a_value_that_does_not_fit_is_refused(
    chosen: tuple[tuple[str, int], ...], message: str
) -> None:
    with pytest.raises(EncodingError, match=message) as caught:
        FORMAT.encode("last", EntryKind.LEAF, 1, chosen, PAGE_SHIFT)
    assert caught.value.rule == MANUAL


def test_fields_that_make_another_kind_of_entry_are_refused() -> None:
    with pytest.raises(EncodingError, match="are not those of a leaf"):
        FORMAT.encode("middle", EntryKind.LEAF, 128, (("VALID", 1), ("TYPE", 1)), PAGE_SHIFT)


def test_a_table_at_the_last_level_is_refused_with_what_may_stand_there() -> None:
    with pytest.raises(EncodingError, match="cannot be a table") as caught:
        FORMAT.form("last", EntryKind.TABLE)
    assert "leaf" in caught.value.rule


def test_a_feature_takes_its_bit_from_the_address_of_every_form() -> None:
    guarded = MADE_UP.select(features=("guard",))
    guard_pa = 1 << 34  # what stands at bit 50 otherwise
    assert MADE_UP.select().leaf("last", guard_pa >> PAGE_SHIFT, _KERNEL) >> 50 & 1
    for level in ("root", "middle", "last"):
        form = guarded.mode.format.form(level, EntryKind.LEAF)
        assert not form.physical_mask & guard_pa
        assert guarded.bits(level, _KERNEL) >> 50 & 1
    with pytest.raises(EncodingError, match="does not fit"):
        guarded.leaf("last", guard_pa >> PAGE_SHIFT, _KERNEL)
    neighbors = (1 << 33 | 1 << 35) >> PAGE_SHIFT
    assert guarded.decode("last", guarded.leaf("last", neighbors, _KERNEL)).pfn == neighbors


_KERNEL = MADE_UP.pgprots[0].role


def test_a_field_over_another_field_is_a_wrong_description() -> None:
    with pytest.raises(DescriptionError, match="overlaps another field"):
        FORMAT.form("last", EntryKind.LEAF).extended((Field("CLASH", 62, 2),), ())


def test_a_level_may_tell_validity_by_patterns_of_its_own_and_be_empty_otherwise_than_by_zero() -> None:
    inverted = replace(FORMAT, valid_at=(("root", (Match(0b11, 0b00), Match(0b11, 0b10))),), empty_at=(("root", 0b01),))
    assert (inverted.empty("root"), inverted.empty("last")) == (0b01, 0)
    assert [bool(inverted.is_valid("root", raw)) for raw in (0b00, 0b01, 0b10, 0b11)] == [True, False, True, False]
    assert not inverted.is_valid("last", 0b10)
    raws = np.array([0b00, 0b01, 0b10, 0b11], dtype=np.uint64)
    assert np.asarray(inverted.is_valid("root", raws)).tolist() == [True, False, True, False]
    assert inverted.classify("root", 0b01) is EntryKind.NONE
    assert inverted.classify("root", 0b10) is EntryKind.ILLEGAL
    mode = replace(MADE_UP.modes[0], format=replace(inverted, empty_at=()))
    with pytest.raises(DescriptionError, match="an empty entry of root, 0x0, is valid"):
        mode.check()


def test_an_entry_narrower_than_eight_bytes_has_fewer_reserved_bits() -> None:
    form = replace(FORMAT.form("last", EntryKind.LEAF), fields=(), address=())
    assert form.reserved_mask(32) == 0xFFFFFFFF


def test_a_decoded_entry_tells_what_it_is() -> None:
    told = str(FORMAT.decode("last", MADE_UP.select(release="6.1").leaf("last", 0x90001, _RO), PAGE_SHIFT))
    assert told == "last leaf pfn=0x90001 R|A|WP|SW|TYPE=0x2|VALID"


_RO = MADE_UP.pgprots[1].role


SOFTWARE_FORM = EntryForm(
    EntryKind.NONE, ("pte",), (Match(1, 0),), (AddressPart(12, 20, 12),), (Field("P", 0), Field("S", 1, 3))
)
SOFTWARE = SoftwareEntry("made up", SOFTWARE_FORM, inverted=(ADDRESS, "S"))


def test_address_and_fields_may_be_inverted_in_memory() -> None:
    raw = 0xABCDE000 ^ 0xFFFFF000 | 0b101 << 1
    assert SOFTWARE.matches("pte", raw)
    assert SOFTWARE.pfn(raw, 12) == 0xABCDE
    assert SOFTWARE_FORM.by_name["S"].get(SOFTWARE.plain(raw)) == 0b010


def test_an_entry_of_zeros_or_of_another_level_is_none() -> None:
    assert not SOFTWARE.matches("pte", 0)
    assert not SOFTWARE.matches("pmd", 2)
    assert not SOFTWARE.matches("pte", 3)


def test_a_bit_that_a_feature_takes_from_the_address_is_not_inverted() -> None:
    encrypted = SOFTWARE.extended((Field("C", 20),))
    assert encrypted.plain(0) == SOFTWARE.plain(0) & ~(1 << 20)
    without_address = SoftwareEntry("other", EntryForm(EntryKind.NONE, ("pte",), (Match(1, 0),), (), ()))
    assert without_address.extended((Field("C", 20),)) is without_address
    assert without_address.pfn(2, 12) is None
