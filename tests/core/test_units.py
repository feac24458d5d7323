# SPDX-License-Identifier: GPL-2.0-only
"""Sizes and counts of huge pages, as people write them."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import UsageError
from hvolab.units import format_short, format_size, parse_hugepages, parse_size

SIZES = st.integers(min_value=0, max_value=1 << 70)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("64K", 65536),
        ("64k", 65536),
        ("2M", 2 << 20),
        ("2MB", 2 << 20),
        ("2MiB", 2 << 20),
        (" 4 GiB ", 4 << 30),
        ("1T", 1 << 40),
        ("3P", 3 << 50),
        ("1E", 1 << 60),
        ("512B", 512),
        ("0x200000", 2 << 20),
        ("0X10K", 16 << 10),
        ("0x1e", 30),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", " ", "M", "2X", "-2M", "+2M", "1.5G", "2 M B", "0x", "0xG", "2iB2", "1e3", "٢M", "2\u212a", "9" * 5000]
)
def test_what_is_no_size_is_refused_with_the_form_that_one_has(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_size(text)
    assert "is not a size" in refused.value.what
    assert "4GiB" in refused.value.hint


@given(SIZES)
def test_the_short_form_reads_back_as_the_same_size(size: int) -> None:
    assert parse_size(format_short(size)) == size


@given(SIZES)
def test_the_form_for_people_tells_at_least_three_digits_truly(size: int) -> None:
    number, unit = format_size(size).split(" ")
    told = float(number) * parse_size("1" + unit.removeprefix("byte").removeprefix("s"))
    assert told == pytest.approx(size, rel=0.005)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (4095, "4095 bytes"),
        (4096, "4 KiB"),
        (28 << 10, "28 KiB"),
        (2 << 20, "2 MiB"),
        (4095 << 12, "16380 KiB"),
        (409500 << 12, "1.56 GiB"),
        (3 << 29, "1536 MiB"),
        (1 << 40, "1 TiB"),
    ],
)
def test_sizes_are_told_as_people_write_them(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize("tell", [format_size, format_short])
def test_a_negative_size_is_not_told(tell: object) -> None:
    assert callable(tell)
    with pytest.raises(UsageError, match="is not a size"):
        tell(-1)


def test_huge_pages_are_read_in_the_order_in_which_they_are_given() -> None:
    assert list(parse_hugepages("1G=1, 2M=8,64K=0").items()) == [(1 << 30, 1), (2 << 20, 8), (65536, 0)]


def test_huge_pages_are_read_by_node() -> None:
    pages = parse_hugepages("2M=0:2,1:3, 1G=1, 64K=3:4")
    assert pages == {2 << 20: 5, 1 << 30: 1, 65536: 4}
    assert [getattr(count, "nodes", None) for count in pages.values()] == [{0: 2, 1: 3}, None, {3: 4}]
    assert pickle.loads(pickle.dumps(pages))[2 << 20].nodes == {0: 2, 1: 3}


@given(st.dictionaries(SIZES.filter(bool), st.integers(min_value=0, max_value=10**6), min_size=1, max_size=4))
def test_huge_pages_written_down_are_read_as_they_were(pages: dict[int, int]) -> None:
    assert parse_hugepages(",".join(f"{format_short(size)}={count}" for size, count in pages.items())) == pages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' has no size"),
        ("2M", "'2M' has no count of pages"),
        ("2M=8,", "'2M=8,' has no size"),
        ("2M=8 1G=1", "'8 1G=1' in '2M=8 1G=1' is not a number of pages"),
        ("2M=", "'' in '2M=' is not a number of pages"),
        ("2M=-1", "'-1' in '2M=-1' is not a number of pages"),
        ("2M=1.5", "'1.5' in '2M=1.5' is not a number of pages"),
        ("2Q=1", "'2Q' is not a size"),
        ("=1", "'' is not a size"),
        ("0=1", "'0=1' has pages of 0 bytes"),
        ("2M=0:1,x:2", "'x' in 'x:2' is not the number of a node"),
        ("2M=0:1,0:2", "node 0 occurs twice for 2M"),
        ("2M=0:1,1:", "'' in '1:' is not a number of pages"),
        ("2M=3,1:2", "'1:2' has no count of pages"),
        ("0:1,2M=3", "'0:1' has no count of pages"),
        ("2M=1,2048K=2", "2M occurs twice in '2M=1,2048K=2'"),
    ],
)
def test_huge_pages_that_cannot_be_read_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_hugepages(text)
    assert refused.value.what == message
    assert refused.value.hint
