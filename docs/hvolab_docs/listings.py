"""Listings in Markdown: one that is a file, ```python some/file.py, gets its name as a caption."""

from __future__ import annotations

import re

_FILE = re.compile(r"^```(\w+) (\S+)$", re.MULTILINE)


def with_captions(markdown: str) -> str:
    """``markdown`` with every listing of a file as a code block that says which."""
    return _FILE.sub(r"```{code-block} \1\n:caption: \2\n", markdown)
