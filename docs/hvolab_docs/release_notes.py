# SPDX-License-Identifier: GPL-2.0-only
"""Release notes, cut from the changelog: `python -m docs.hvolab_docs.release_notes [VERSION]` prints them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
UNRELEASED = "Unreleased"
_HEADING = re.compile(r"^## \[([^\]]+)\].*\n", re.MULTILINE)
#: A link of the repository, which a page of releases would look for next to itself.
_OWN_LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:)[^)]+\)")


def notes(changelog: str, version: str = UNRELEASED) -> str:
    """Return the changes of one version as Markdown, without its heading and without links into the repository.

    version  as the tag has it, with or without `v`
    Raises KeyError for a version that the changelog does not have; its message lists those it has.
    """
    parts = _HEADING.split(changelog)[1:]
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    wanted = version.removeprefix("v")
    if wanted not in found:
        raise KeyError(f"CHANGELOG.md has no version {wanted}; hint: one of {', '.join(found)}")
    return _OWN_LINK.sub(r"\1", found[wanted]).strip() + "\n"


def main() -> int:
    """Print the notes of the version that is the argument, or of what is not released."""
    try:
        sys.stdout.write(notes(CHANGELOG.read_text("utf-8"), *sys.argv[1:2]))
    except KeyError as error:
        sys.stderr.write(f"{error.args[0]}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
