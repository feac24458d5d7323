# SPDX-License-Identifier: GPL-2.0-only
"""The bits of an entry: fields, parts of the output PA, patterns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arch import AddressPart, Field, Match, values


def test_a_field_reads_its_own_bits_and_no_others() -> None:
    field = Field("PKEY", 59, 4)
    assert field.mask == 0x7800000000000000
    assert field.get(0xFFFFFFFFFFFFFFFF) == 15
    assert field.get(~field.mask) == 0


@pytest.mark.parametrize(
    ("field", "told"), [(Field("NX", 63), "NX (bit 63)"), (Field("PKEY", 59, 4), "PKEY (bits 62:59)")]
)
def test_a_field_tells_its_bits_as_a_manual_does(field: Field, told: str) -> None:
    assert str(field) == told


def test_field_values_are_ones_by_name_and_numbers_by_keyword() -> None:
    assert values("P", "RW", PKEY=3) == (("P", 1), ("RW", 1), ("PKEY", 3))


def _parts(low: int, width: int, shift: int) -> AddressPart:
    return AddressPart(low, width, low + shift)


@given(
    part=st.builds(_parts, st.integers(0, 40), st.integers(1, 24), st.integers(0, 20)),
    field=st.builds(Field, st.just("TAKEN"), st.integers(0, 63), st.integers(1, 8)),
)
def test_a_field_takes_from_an_address_part_just_the_bits_that_it_stands_on(part: AddressPart, field: Field) -> None:
    rest = part.without(field)
    left = sum(one.mask for one in rest)
    assert left == part.mask & ~field.mask
    # and what is left still stands for the same bits of the PA
    assert all(one.physical - one.low == part.physical - part.low for one in rest)


def test_a_field_in_the_middle_leaves_two_parts() -> None:
    assert AddressPart(12, 40, 12).without(Field("C", 47)) == (AddressPart(12, 35, 12), AddressPart(48, 4, 48))


def test_a_pattern_answers_for_a_run_of_entries_as_for_each() -> None:
    match = Match(0b11, 0b01)
    raws = np.array([0b01, 0b11, 0b101, 0], dtype=np.uint64)
    assert np.asarray(match.accepts(raws)).tolist() == [bool(match.accepts(int(raw))) for raw in raws]
    assert match.accepts(0b101)
    assert not match.accepts(0b11)
