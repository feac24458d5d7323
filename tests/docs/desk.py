# SPDX-License-Identifier: GPL-2.0-only
"""Listings of a Markdown page, and a desk at which they are carried out as a reader would.

Of a console listing each line after `$ ` is a command, run by a shell in one directory that is empty at first, and
what stands below it is printed by it, in that order. A Python listing that names a file is that file; one that names
none is a script. A diff is applied, in a copy of the tree. The examples of `pycon` listings are one session.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.docs.stranger import ROOT, StrangerRoom, clean_environment, extras_named

DOCS = ROOT / "docs"
LISTING = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BOOT = "tests/captures/x86_64-6.12-4level/0-boot.core.xz"
_OPTIMIZED = "tests/captures/x86_64-6.12-4level/1-optimised-2M.core.xz"
#: What a reader has, by the name that pages call it: a checkout's cores, and a core of his own.
_LINKS = {
    "tests/captures": "tests/captures",
    "CORE": _OPTIMIZED,
    "BEFORE.core": _BOOT,
    "AFTER.core": _OPTIMIZED,
}
#: What a copy of the tree consists of.
_TREE = (
    "arches",
    "core",
    "docs",
    "plugins",
    "tests",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "pyproject.toml",
)
#: What tools make in it.
_MADE = ("__pycache__", ".*")


@dataclass(frozen=True)
class Listing:
    """One fenced block: its language, the file that it is, its text. A directive of Sphinx has no language."""

    language: str
    file: str
    text: str


def pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted(DOCS.rglob("*.md"))


def listings(page: Path) -> list[Listing]:
    return [Listing(*match.groups()) for match in LISTING.finditer(page.read_text("utf-8"))]


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each command of a console listing, with the lines that it is shown to print."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        else:
            found[-1][1].append(line)
    return found


class Desk:
    """A stranger's desk: an empty directory, or a copy of the tree, and an environment with nothing of the runner's.

    A command finds the programs of a virtual environment and of the system. Of the runner's environment variables it
    sees only how packages are fetched.
    """

    def __init__(self, folder: Path, programs: Path, *, tree: bool = False) -> None:
        """Make it in a folder; ``programs`` is where the virtual environment has its own."""
        self.folder = folder / "desk"
        self.tools = folder / "tools"
        home = folder / "home"
        for made in (self.folder, self.tools, home):
            made.mkdir()
        if tree:
            copy_tree(self.folder)
        else:
            self.bring()
        root = shlex.quote(f"{ROOT}")
        # these fetch and build for minutes: looked up, not run, but for the demo in a copy of the tree
        demo = 'test "$*" != demo || test ! -f Makefile || exec "$(command -p -v make)" demo'
        self._tool("make", f'for name; do grep -q "^$name:" {root}/Makefile || exit 2; done\n{demo}')
        self._tool("tox", f'test "$1 $2" = "run -e" && grep -q "^.testenv:$3]" {root}/tox.ini')
        self.environment = {
            **clean_environment(home, self.tools, programs, Path(sys.base_prefix) / "bin", os.defpath),
            "COLUMNS": "100",
            "HVOLAB_STRICT": "1",
            # a diff is of this folder, whatever it stands in
            "GIT_CEILING_DIRECTORIES": f"{self.folder.parent}",
        }

    def bring(self) -> None:
        """Put what a reader has into the folder."""
        for name, target in _LINKS.items():
            if not (self.folder / name).exists():
                (self.folder / name).parent.mkdir(exist_ok=True)
                (self.folder / name).symlink_to(ROOT / target)

    def _tool(self, name: str, script: str) -> None:
        path = self.tools / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def run(self, command: str, *, codes: Collection[int] = (0,)) -> str:
        """What a command prints; it must end with one of these exit codes."""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=self.environment,
        )
        assert done.returncode in codes, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def follow(self, page: Path) -> None:
        """Do everything that a page shows, from top to bottom, and find what it shows to be printed."""
        session = ""
        for listing in listings(page):
            if listing.language == "console":
                for command, shown in commands(listing.text):
                    check_shown(command, shown, self.run(command))
            elif listing.language == "pycon":
                session += listing.text + "\n"
            elif listing.language == "diff":
                self._script("change.diff", listing.text, "git apply --unidiff-zero change.diff && rm change.diff")
            elif listing.language == "python" and listing.file:
                (self.folder / listing.file).write_text(listing.text, encoding="utf-8")
            elif listing.language == "python":
                self._script("script.py", listing.text, "python script.py")
        if session:
            self._script("session.txt", session, "python -m doctest -o NORMALIZE_WHITESPACE session.txt")

    def _script(self, name: str, text: str, command: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")
        self.run(command)


def desk_for(page: Path, room: StrangerRoom, folder: Path, *, tree: bool = False) -> Desk:
    """Make a desk with hvolab, of the copy where it is one of the tree, and the extras that a page says to install."""
    desk = Desk(folder, room.bin, tree=tree)
    desk.environment["PYTHONPYCACHEPREFIX"] = str(room.bytecode)
    room.install(extras_named(page.read_text("utf-8")), desk.folder if tree else None)
    return desk


def copy_tree(folder: Path) -> None:
    """Copy the tree into a folder, without what was made of it."""
    for name in _TREE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*_MADE))
        else:
            shutil.copy(ROOT / name, folder / name)


def files_changed(folder: Path) -> set[str]:
    """The files of a copy of the tree that are new or have another content than those of the tree."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    kept = (name for name in names if not any(fnmatch(part, made) for part in name.parts for made in _MADE))
    return {name.as_posix() for name in kept if not _same(ROOT / name, folder / name)}


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()


def check_shown(command: str, shown: list[str], printed: str) -> None:
    """Find each line that a command is shown to print in what it printed, one after the other; blanks count as one."""
    text, position = " ".join(printed.split()), 0
    for line in shown:
        wanted = " ".join(line.split())
        found = text.find(wanted, position)
        assert found >= 0, f"{command}\ndoes not print, or not here:\n{line}\nbut:\n{printed}"
        position = found + len(wanted)
