# SPDX-License-Identifier: GPL-2.0-only
"""Releases of the kit: a check is advisory in the minor release that added it, for older plugins."""

from __future__ import annotations

import pytest

from hvolab.conformance.version import KIT, is_advisory, parse_release
from hvolab.errors import UsageError


def test_a_release_is_two_numbers() -> None:
    assert parse_release("1.0") == (1, 0)
    assert parse_release("2.11") == (2, 11)
    assert parse_release(KIT) >= (1, 0)


@pytest.mark.parametrize("text", ["1", "1.0.0", "one.two", "", " 1.0"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a release of the kit; hint: write two numbers"):
        parse_release(text)


@pytest.mark.parametrize(
    ("since", "written_for", "kit", "expected"),
    [
        ("1.1", "1.0", "1.1", True),
        ("1.1", "1.0", "1.2", False),
        ("1.1", "1.1", "1.1", False),
        ("1.0", "1.0", "1.0", False),
        ("1.10", "1.9", "1.10", True),
    ],
)
def test_advisory_is_what_is_new_for_the_plugin(since: str, written_for: str, kit: str, expected: bool) -> None:  # noqa: FBT001
    assert is_advisory(since, written_for, kit) is expected
