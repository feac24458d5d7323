# SPDX-License-Identifier: GPL-2.0-only
"""Markdown: tables, and literal text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: What Markdown would take for markup: emphasis, HTML, the border of a cell. Code between backticks is left alone.
_SPECIAL = re.compile(r"(`+).+?\1|[*<>|\[\]]|\b__|__\b|(?<!\w)_|_(?!\w)", re.DOTALL)


def plain(text: str) -> str:
    """Return ``text`` escaped, except code between backticks."""
    return _SPECIAL.sub(lambda found: found[0] if found[1] else re.sub(r"(.)", r"\\\1", found[0]), text)


def code(text: object) -> str:
    """Return ``text`` as code."""
    return f"`{text}`"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Return a table with columns aligned to the left, those in ``right`` to the right; cells are Markdown."""
    rules = ["---:" if column in right else "---" for column in columns]
    lines = [columns, rules, *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    """Return a cell: one line, and no border inside, not even in code."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))
