"""The guide for authors, beyond what is held for every page: all its listings together are one plugin."""

from __future__ import annotations

from tests.docs.desk import DOCS, listings

GUIDE = DOCS / "authoring.md"


def test_every_listing_is_a_command_or_a_file() -> None:
    assert {listing.language for listing in listings(GUIDE)} == {"console", "python"}
    assert all(listing.file.endswith(".py") for listing in listings(GUIDE) if listing.language == "python")


def test_the_note_says_how_many_lines_the_example_takes() -> None:
    lines = sum(
        bool(line.strip())
        for listing in listings(GUIDE)
        if listing.language == "python"
        for line in listing.text.splitlines()
    )
    assert f"takes {lines} lines of Python" in GUIDE.read_text("utf-8")
