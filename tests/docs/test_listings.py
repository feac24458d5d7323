# SPDX-License-Identifier: GPL-2.0-only
"""Every listing of every page, and of the README, is carried out, and what it is shown to print it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.desk import DOCS, ROOT, Desk, check_shown, commands, listings, pages

README = ROOT / "README.md"
#: `text` and `toml` are neither a command nor Python; a directive of Sphinx has no language.
LANGUAGES = {"", "console", "diff", "pycon", "python", "text", "toml"}
#: A page with a diff is carried out in a copy of the tree, in the test of that page.
SHOWN = {page: {listing.language for listing in listings(page)} for page in (README, *pages())}
SHOWING = [page for page, languages in SHOWN.items() if languages - {""} and "diff" not in languages]


@pytest.mark.slow
@pytest.mark.parametrize("page", SHOWING, ids=lambda page: page.stem)
def test_who_follows_a_page_gets_what_it_shows(page: Path, tmp_path: Path) -> None:
    Desk(tmp_path).follow(page)


@pytest.mark.parametrize("page", [README, *pages()], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_listing_escapes(page: Path) -> None:
    text = page.read_text("utf-8")
    assert {listing.language for listing in listings(page)} <= LANGUAGES
    fences = [line for line in text.splitlines() if line.startswith("```")]
    assert len(fences) == 2 * len(listings(page))
    assert all(listing.language or listing.file.startswith("{") for listing in listings(page))
    assert all(listing.text.startswith("$ ") for listing in listings(page) if listing.language == "console")
    assert all(listing.text.startswith(">>> ") for listing in listings(page) if listing.language == "pycon")


def test_pages_that_teach_show_something() -> None:
    assert {DOCS / f"{name}.md" for name in ("authoring", "conformance", "tour", "vmcores")} <= set(SHOWING)


def test_a_command_goes_on_in_the_next_line_after_a_backslash() -> None:
    assert commands("$ one \\\n  two\nprinted\n$ three\n") == [("one \\\n  two", ["printed"]), ("three", [])]


def test_what_is_shown_must_be_printed_in_that_order() -> None:
    check_shown("command", ["a  b", "d"], "a\nb c\nd\n")
    with pytest.raises(AssertionError, match="does not print"):
        check_shown("command", ["d", "a b"], "a b c d")
