# SPDX-License-Identifier: GPL-2.0-only
"""The guide to a new kernel release, carried out in a copy of the tree: the made-up 7.3, and the files it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.desk import DOCS, desk_for, files_changed, listings
from tests.docs.stranger import StrangerRoom

GUIDE = DOCS / "adding-release.md"
MOST = 3


@pytest.mark.slow
def test_who_follows_the_guide_has_a_release_that_runs_and_touched_few_files(
    stranger_room: StrangerRoom, tmp_path: Path
) -> None:
    desk = desk_for(GUIDE, stranger_room, tmp_path, tree=True)
    assert files_changed(desk.folder) == set()
    desk.follow(GUIDE)
    (desk.folder / "session.txt").unlink()
    changed = {name for name in files_changed(desk.folder) if not name.startswith("docs/")}  # those are generated
    assert changed == {"CHANGELOG.md", "core/hvolab/release/releases.py", "tests/core/release/test_v7_3.py"}
    assert len(changed) <= MOST
    assert f"takes {len(changed)} files" in GUIDE.read_text("utf-8")


def test_its_listings_are_of_the_files_that_it_names() -> None:
    shown = listings(GUIDE)
    diffs = [re.findall(r"^\+\+\+ b/(.+)$", one.text, re.MULTILINE) for one in shown if one.language == "diff"]
    files = [one.file for one in shown if one.language == "python"]
    assert (diffs, files) == (
        [["core/hvolab/release/releases.py"], ["CHANGELOG.md"]],
        ["tests/core/release/test_v7_3.py"],
    )
