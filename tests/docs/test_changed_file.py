# SPDX-License-Identifier: GPL-2.0-only
"""The page for developers who changed the file: each command for an image and its headers is run, in that order."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.desk import DOCS, commands, listings
from tests.plugins.hvolab_kernel.commands.developer_files import SLIP, DeveloperFiles, developer_files

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

PAGE = DOCS / "changed-file.md"
#: One scenario has the same words as all of them, in a fraction of the time.
FEWER = " --quick --scenario '2M boot: optimize twice'"


def shown() -> list[str]:
    """Return the commands of the page about an image and its headers."""
    texts = [listing.text for listing in listings(PAGE) if listing.language == "text"]
    return [command for text in texts for command, _ in commands(text) if "VMLINUZ" in command]


def desk(folder: Path, files: DeveloperFiles) -> None:
    """Put what the page names into a folder: image, headers, file and a series of one patch."""
    (folder / "VMLINUZ").symlink_to(files.image)
    (folder / "HEADERS").symlink_to(files.headers)
    (folder / "series").mkdir()
    before = files.source.read_text().splitlines(keepends=True)
    after = files.source.read_text().replace(*SLIP).splitlines(keepends=True)
    name = "mm/hugetlb_vmemmap.c"
    (folder / "series/1.patch").write_text("".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")))


@pytest.mark.slow
def test_each_command_about_an_image_does_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = developer_files(tmp_path, monkeypatch)
    desk(tmp_path, files)
    codes = []
    for command in shown():
        line = command.replace("hvolab ", f"{sys.executable} -m hvolab ", 1).replace(" --quick", FEWER)
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode in {0, 1}, done.stderr
        codes.append(done.returncode)
    assert codes == [0, 0, 0, 0, 0, 1, 0, 0]  # one is of a patch with a slip


def test_the_page_has_the_commands_in_their_order() -> None:
    commands = ["build", "image", "kernel", "kernel", "watch", "patch-test", "explore", "explore"]
    assert [command.split()[1] for command in shown()] == commands
