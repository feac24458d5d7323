# SPDX-License-Identifier: GPL-2.0-only
"""The lines that search a kernel tree for the commit that broke its HVO, by git bisect and `hvolab boot`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hvolab.cli.errors import ExitCode

#: Exit codes of `git bisect run` that leave a commit out, and that end the search. Source: git-bisect(1).
_SKIP: Final = 125
_STOP: Final = 255


def bisect_lines(image: Path, options: Sequence[str], good: str, bad: str) -> str:
    """Return the lines for a shell in the tree.

    image    the file that a build makes, relative to the tree: its name is the target of make
    options  further arguments of `hvolab boot`

    A commit that does not build, and one that is not decided, is left out. Wrong use, as a missing QEMU, ends the
    search: it would leave out each commit.
    """
    boot = shlex.join(("hvolab", "boot", str(image), *options))
    script = (
        f"make -j$(nproc) olddefconfig {shlex.quote(image.name)} || exit {_SKIP}\n"
        f"{boot}\n"
        "code=$?\n"
        f"case $code in {ExitCode.AS_DECLARED:d}|{ExitCode.FINDING:d}) exit $code;; "
        f"{ExitCode.UNKNOWN:d}) exit {_SKIP};; *) exit {_STOP};; esac"
    )
    start = shlex.join(("git", "bisect", "start", bad, good))
    return f"{start}\ngit bisect run sh -c {shlex.quote(script)}"
