# SPDX-License-Identifier: GPL-2.0-only
"""Docstrings for Sphinx: columns of names and meanings become tables, indented blocks literal text.

    name      a column of names, each with its meaning; a meaning that is long
              goes on below its own beginning
    one, two  two names that share a meaning

is a paragraph of such a docstring. Everything else is reStructuredText already, but for a sentence about the kernel's
function or about what is raised, which becomes a paragraph of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = r"[\w.*…]+"
_NAME = rf"{_WORD}(?:(?:, | and | to | … ){_WORD})*"
_PART = re.compile(_WORD)
_BETWEEN = frozenset({"and", "to", "…"})
_WIDE = re.compile(rf"({_NAME}) {{2,}}(\S.*)")
_NARROW = re.compile(rf"({_NAME}) (\S.*)")
_OWN_PARAGRAPH = re.compile(r"(Kernel: |Raises )")
#: Code, which reStructuredText does not know where a blank ends it.
_CODE = re.compile(r"``(.+?)``")

Row = tuple[str, list[str]]


def as_rst(lines: list[str]) -> list[str]:
    """Return the docstring in ``lines`` as reStructuredText."""
    result: list[str] = []
    for paragraph in _paragraphs([_legible(line) for line in lines]):
        rows = _rows(paragraph)
        if rows:
            result += _table(rows)
        elif all(line.startswith("    ") for line in paragraph):
            if result and result[-1] == "" and len(result) > 1 and result[-2].endswith(":"):
                result[-2] += ":"
            result += [*paragraph, ""]
        else:
            for number, line in enumerate(paragraph):
                if number and _OWN_PARAGRAPH.match(line):
                    result.append("")
                result.append(line)
            result.append("")
    return result


def _legible(line: str) -> str:
    """Return a line with its code stripped of blanks; leave `file:line`, which is not an address, unchanged."""
    return _CODE.sub(lambda code: f"``{code[1].strip()}``", line).replace(" file:line", r" file\:line")


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []


def _rows(paragraph: list[str]) -> list[Row]:
    """Return names and meanings; nothing if the paragraph has no such columns."""
    first = _WIDE.match(paragraph[0])
    if first is None:
        return []
    rows: list[Row] = []
    for line in paragraph:
        if line.startswith("  "):
            if not rows:
                return []
            rows[-1][1].append(line.strip())
            continue
        found = _WIDE.match(line) or _NARROW.match(line)
        if found is None or (found.re is _NARROW and found.start(2) != first.start(2)):
            return []
        rows.append((found[1], [found[2]]))
    return rows


def _table(rows: list[Row]) -> list[str]:
    lines = [".. list-table::", "   :class: columns", "   :widths: auto", ""]
    for names, meaning in rows:
        lines.append("   * - " + _PART.sub(lambda part: part[0] if part[0] in _BETWEEN else f"``{part[0]}``", names))
        lines.append("     - " + " ".join(meaning))
    return [*lines, ""]
