# SPDX-License-Identifier: GPL-2.0-only
"""Listings in Markdown: a listing of a file, ```python some/file.py, gets the name as its caption."""

from __future__ import annotations

import re

_FILE = re.compile(r"^```(\w+) (\S+)$", re.MULTILINE)


def with_captions(markdown: str) -> str:
    """Return ``markdown`` with every listing of a file as a code block with a caption."""
    return _FILE.sub(r"```{code-block} \1\n:caption: \2\n", markdown)
