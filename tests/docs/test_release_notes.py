# SPDX-License-Identifier: GPL-2.0-only
"""Release notes are one version's part of the changelog."""

from __future__ import annotations

import pytest

from docs.hvolab_docs.release_notes import CHANGELOG, UNRELEASED, notes

_TEXT = """# Changelog

## [Unreleased]

## [1.1.0] - 2027-01-02

### Added

- A [page](docs/page.md) and a [site](https://example.org/).

## [1.0.0] - 2027-01-01

- First.
"""


def test_a_version_has_its_own_changes_with_links_that_work_elsewhere() -> None:
    assert notes(_TEXT, "v1.1.0") == "### Added\n\n- A page and a [site](https://example.org/).\n"
    assert notes(_TEXT, "1.0.0") == "- First.\n"


def test_an_unknown_version_is_answered_with_those_there_are() -> None:
    with pytest.raises(KeyError, match=r"no version 2\.0; hint: one of Unreleased, 1\.1\.0, 1\.0\.0"):
        notes(_TEXT, "2.0")


def test_the_changelog_itself_has_changes_that_are_not_released() -> None:
    assert notes(CHANGELOG.read_text("utf-8"), UNRELEASED).startswith("### Added\n")
