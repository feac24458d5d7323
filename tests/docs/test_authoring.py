# SPDX-License-Identifier: GPL-2.0-only
"""The guide for authors, beyond what is held for every page: all its listings together are one plugin."""

from __future__ import annotations

from pathlib import Path

from hvolab.authoring import write_architecture
from tests.docs.desk import DOCS, listings

GUIDE = DOCS / "authoring.md"


def test_every_listing_is_a_command_or_a_file_of_the_package_that_hvolab_new_arch_writes(tmp_path: Path) -> None:
    written = {path.relative_to(tmp_path).as_posix() for path in write_architecture("zircon", tmp_path)}
    (description,) = (file for file in written if file.endswith("/description.py"))
    package = description.removesuffix("description.py")
    assert {listing.language for listing in listings(GUIDE)} == {"console", "python"}
    python = {listing.file: listing.text for listing in listings(GUIDE) if listing.language == "python"}
    assert description in python
    # a file that the author adds is in the same package, and a listing imports it
    for added in python.keys() - written:
        assert added.startswith(package), added
        assert any(f"from hvolab_zircon.{Path(added).stem} import" in text for text in python.values()), added


def test_the_note_says_how_many_lines_the_example_takes() -> None:
    lines = sum(
        bool(line.strip())
        for listing in listings(GUIDE)
        if listing.language == "python"
        for line in listing.text.splitlines()
    )
    assert f"takes {lines} lines of Python" in GUIDE.read_text("utf-8")
