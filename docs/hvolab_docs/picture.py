# SPDX-License-Identifier: GPL-2.0-only
"""The picture in the README: a real run, cropped, as an SVG that rich exports. `make picture` draws it again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from rich.text import Text

from hvolab.cli.output import as_svg

#: The command that the picture shows.
COMMAND: Final = ("run", "--arch", "x86_64", "--hugepages", "2M=8")
#: Blocks of its output, by a word that each has; the others are cropped.
SHOWN: Final = ("x86_64, 4-level", "freed PFN", "frames saved", "stores to tails", "All as declared")
WIDTH: Final = 100
TARGET: Final = Path(__file__).parents[1] / "static" / "run.svg"


def output() -> str:
    """Run the command as in a terminal, and return what it prints, with its colors."""
    settings = {"FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "PYTHONIOENCODING": "utf-8", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "hvolab", *COMMAND]
    return subprocess.run(  # noqa: S603 - hvolab itself
        command, check=True, capture_output=True, text=True, encoding="utf-8", env={**os.environ, **settings}
    ).stdout


def cropped(text: str) -> Text:
    """Keep the blocks to show, an empty line between them."""
    blocks = re.split(r"\n[^\S\n]*\n", text.rstrip())
    plain = [Text.from_ansi(block).plain for block in blocks]
    # a picture stands in the block behind its caption
    kept = [
        block
        for place, block in enumerate(blocks)
        if any(word in plain[place] or (place and word == "freed PFN" in plain[place - 1]) for word in SHOWN)
    ]
    return Text.from_ansi("\n\n".join(kept))


def drawing() -> str:
    """Return the picture as SVG."""
    return as_svg(cropped(output()), f"hvolab {' '.join(COMMAND)}", "run")


if __name__ == "__main__":
    TARGET.write_text(drawing(), encoding="utf-8")
