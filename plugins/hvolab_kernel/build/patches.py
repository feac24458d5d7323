# SPDX-License-Identifier: GPL-2.0-only
"""A series of patches, applied one by one to a copy of mm/hugetlb_vmemmap.c and its header."""

from __future__ import annotations

import email
import email.policy
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hvolab.errors import UsageError
from hvolab_kernel.build.toolchain import run

_FOLDER, _STEM = "mm", "hugetlb_vmemmap"
_TOUCHED: Final = re.compile(r"^(?:---|\+\+\+) [ab]/(\S+)", re.MULTILINE)
_TAG: Final = re.compile(r"^\[[^]]*\]\s*")


@dataclass(frozen=True)
class Patch:
    """A patch, as `git format-patch` writes it, or a bare diff.

    path     the file
    subject  its subject without [PATCH …]; the name of the file for a diff without one
    others   files that it changes and hvolab does not compile
    touches  True if it changes the file or its header
    """

    path: Path
    subject: str
    others: tuple[str, ...]
    touches: bool


def read_patch(path: Path) -> Patch:
    """Read a patch; raises UsageError for a file that is none."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}", hint="name a patch: git format-patch") from error
    files = dict.fromkeys(_TOUCHED.findall(text))
    if not files:
        raise UsageError(
            f"{path} changes no file",
            rule="a diff with ---/+++ lines of a/ and b/",
            hint="git diff, or git format-patch",
        )
    ours = {f"{_FOLDER}/{_STEM}.{kind}" for kind in "ch"}
    subject = email.message_from_string(text, policy=email.policy.default).get("Subject", "")
    return Patch(
        path,
        _TAG.sub("", " ".join(str(subject).split())) or path.name,
        tuple(name for name in files if name not in ours),
        bool(ours & files.keys()),
    )


class PatchedCopy:
    """A copy of the file and its header.

    name    name of the file in the kernel's tree
    source  the copy
    """

    name: Final = f"{_FOLDER}/{_STEM}.c"

    def __init__(self, source: Path, folder: Path) -> None:
        """Copy a file, and the header next to it, into a folder; raises UsageError for one that cannot be read."""
        self._folder = folder
        self.source = folder / self.name
        self.source.parent.mkdir()
        try:
            shutil.copyfile(source, self.source)
            header = source.with_suffix(".h")
            if header.exists():
                shutil.copyfile(header, self.source.with_suffix(".h"))
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error}", hint="name your file: --file") from error

    def apply(self, patch: Patch) -> None:
        """Apply what a patch changes in the two files; raises UsageError where it does not apply."""
        if not patch.touches:
            return
        include = f"--include={_FOLDER}/{_STEM}.[ch]"
        done = run(
            ["git", "-C", str(self._folder), "apply", "--whitespace=nowarn", include, str(patch.path.absolute())]
        )
        if done.returncode:
            raise UsageError(
                f"{patch.path} does not apply: {done.stderr.strip()}",
                where=str(self.source),
                rule="patches apply in the order of their names on the command line",
                hint="check the order, and the release of the file: --file",
            )
