"""The guide for authors: every listing is written and every command run, in order, in an empty directory."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "authoring.md"
LISTING = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KIT = "hvolab.conformance.pytest_plugin"


@dataclass(frozen=True)
class Listing:
    """One fenced block: its language, the file that it is, its text."""

    language: str
    file: str
    text: str


def listings() -> list[Listing]:
    return [Listing(*match.groups()) for match in LISTING.finditer(GUIDE.read_text("utf-8"))]


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each command of a console listing, with the lines that it is shown to print."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


class Desk:
    """An empty directory, and an interpreter of its own that has what this one has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "desk"
        self.folder.mkdir()
        venv.create(folder / "venv", with_pip=False)
        self.python = folder / "venv" / "bin" / "python"
        (site,) = (folder / "venv").glob("lib/python*/site-packages")
        paths = [path for path in sys.path if Path(path).is_dir()]
        (site / "borrowed.pth").write_text("\n".join(paths), encoding="utf-8")

    def run(self, command: str) -> str:
        """What a command prints; it must succeed."""
        tool, *arguments = command.split()
        options = {
            # what is needed is here, and nothing is fetched
            "pip": ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"],
            # a bare checkout has no entry point of pytest's
            "pytest": ["-p", "no:cacheprovider", *([] if _kit_is_installed() else ["-p", KIT])],
            "hvolab": [],
        }[tool]
        done = subprocess.run(
            [self.python, "-m", tool, *arguments, *options],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "200", "HVOLAB_STRICT": "1", "PYTHONPATH": ""},
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def _kit_is_installed() -> bool:
    return any(point.value == KIT for point in importlib.metadata.entry_points(group="pytest11"))


@pytest.mark.slow
def test_who_follows_the_guide_gets_what_it_shows(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for listing in listings():
        if listing.language == "console":
            for command, shown in commands(listing.text):
                printed = " ".join(desk.run(command).split())
                for line in shown:
                    assert " ".join(line.split()) in printed, command
        else:
            path = desk.folder / listing.file
            assert path.is_file(), f"{listing.file} is not one of the files that hvolab new arch writes"
            path.write_text(listing.text, encoding="utf-8")


def test_every_listing_is_run_or_written() -> None:
    assert {listing.language for listing in listings()} == {"console", "python"}
    assert all(listing.file.endswith(".py") for listing in listings() if listing.language == "python")


def test_the_note_says_how_many_lines_the_example_takes() -> None:
    lines = sum(
        bool(line.strip())
        for listing in listings()
        if listing.language == "python"
        for line in listing.text.splitlines()
    )
    assert f"takes {lines} lines of Python" in GUIDE.read_text("utf-8")
