# SPDX-License-Identifier: GPL-2.0-only
"""Grammar of the kernel's command line: next_arg(), parameq(), kstrtobool(), memparse() and sscanf()."""

from __future__ import annotations

import pytest

from hvolab.hvo.command_line import Parameter, kstrtobool, memparse, parse_args, scan_unsigned


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("", []),
        ("  a=1\tb \n", [("a", "1"), ("b", None)]),
        ('a="1 2" b="3', [("a", "1 2"), ("b", "3")]),
        ('"a=1 2" b=3', [("a", "1 2"), ("b", "3")]),
        ('"a b" c', [("a b", None), ("c", None)]),
        ('a=1"2 3"4', [("a", '1"2 3"4')]),
        ('a"b c"=d', [('a"b c"', "d")]),
        ('a"', [('a"', None)]),
        ('a="', [("a", "")]),
        ('"a="b""', [("a", 'b"')]),
        ("a=b=c", [("a", "b=c")]),
        ("=a", [("=a", None)]),
        ("=a=b", [("=a", "b")]),
        ("a= b", [("a", ""), ("b", None)]),
        ("a -- b", [("a", None)]),
        ("a --=b c", [("a", None), ("--", "b"), ("c", None)]),
    ],
)
def test_parameters_are_separated_and_unquoted_as_next_arg_does(
    text: str, parameters: list[tuple[str, str | None]]
) -> None:
    assert list(parse_args(text)) == [Parameter(*each) for each in parameters]


def test_dashes_in_a_name_are_underscores_and_case_counts() -> None:
    assert Parameter("hugetlb-free_vmemmap", None).matches("hugetlb_free-vmemmap")
    assert not Parameter("Hugepages", "1").matches("hugepages")
    assert str(Parameter("hugepages", "1")) == "hugepages=1"
    assert str(Parameter("quiet", None)) == "quiet"


@pytest.mark.parametrize("text", ["on", "On", "oN", "1", "10", "y", "yes", "Yellow", "true", "T", "one"])
def test_what_begins_as_yes_is_true(text: str) -> None:
    assert kstrtobool(text) is True


@pytest.mark.parametrize("text", ["off", "OFF", "of", "0", "01", "n", "No", "never", "false", "F"])
def test_what_begins_as_no_is_false(text: str) -> None:
    assert kstrtobool(text) is False


@pytest.mark.parametrize("text", ["", "o", "2", "maybe", " 1", "enable"])
def test_other_text_is_no_boolean(text: str) -> None:
    assert kstrtobool(text) is None


@pytest.mark.parametrize(
    ("text", "size", "rest"),
    [
        *(("2M", 2 << 20, ""), ("1g", 1 << 30, ""), ("64kB", 64 << 10, "B"), ("0x200000", 2 << 20, "")),
        *(("0X10k,", 16 << 10, ","), ("010", 8, ""), ("0", 0, ""), ("089", 0, "89"), ("", 0, ""), ("M", 0, "")),
        *(
            (" 2M", 0, " 2M"),
            ("-1", 0, "-1"),
            ("0x", 0, "x"),
            ("16E", 0, ""),
            ("1P1", 1 << 50, "1"),
            ("2T", 2 << 40, ""),
        ),
    ],
)
def test_sizes_are_read_as_memparse_does(text: str, size: int, rest: str) -> None:
    assert memparse(text) == (size, rest)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12:3", (12, ":3")),
        (" 7", (7, "")),
        ("0x10", (0, "x10")),
        ("-1", None),
        ("", None),
        ("+1", None),
        ("2M", (2, "M")),
    ],
)
def test_numbers_are_read_as_sscanf_does(text: str, found: tuple[int, str] | None) -> None:
    assert scan_unsigned(text) == found
