# SPDX-License-Identifier: GPL-2.0-only
"""Man page `hvolab.1`, from the texts of `--help`: `python -m docs.hvolab_docs` writes it, the wheel installs it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from hvolab.scenario import OPERATIONS

from .commands import CommandText, exit_code_meanings, is_example, texts

PAGE = Path(__file__).parents[1] / "man" / "hvolab.1"
_HEADER = """\
.\\" SPDX-License-Identifier: GPL-2.0-only
.\\" Written by python -m docs.hvolab_docs
.TH HVOLAB 1 "" hvolab "User Commands"
.SH NAME
hvolab \\- workbench for HVO, the HugeTLB Vmemmap Optimization of Linux
.SH SYNOPSIS"""
_MARKUP = re.compile(r"`([^`]*)`")


def man_page() -> str:
    """Return the page in man(7): each command with its arguments, options and examples, operations, exit codes."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    root, *others = texts()
    yield _HEADER
    yield f".B {_escape(root.usage)}"
    yield ".SH DESCRIPTION"
    yield from _body(root)
    yield ".SH COMMANDS"
    for text in others:
        yield f".SS {_escape(text.usage)}"
        yield from _body(text)
    yield '.SH "OPERATIONS OF RUN \\-\\-DO"'
    yield from _items((operation.syntax, operation.help) for operation in OPERATIONS.values())
    yield '.SH "EXIT STATUS"'
    yield from _items(exit_code_meanings())


def _body(text: CommandText) -> Iterator[str]:
    """Yield paragraphs, examples, arguments and options of a command."""
    for number, paragraph in enumerate(text.paragraphs):
        if is_example(paragraph):
            yield from (".PP", ".RS 4", f".B {_escape(paragraph)}", ".RE")
        else:
            yield from ((".PP",) if number else ())
            yield _prose(paragraph)
    yield from _items((*text.arguments, *text.options))


def _items(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, meaning in rows:
        yield from (".TP", f".B {_escape(name)}", _prose(meaning))


def _prose(text: str) -> str:
    """Return text for roff, in lines as its style wants them, code in it in bold; no line begins as a request does."""
    marked = _MARKUP.sub(r"\\fB\1\\fR", _escape(" ".join(text.split())))
    lines = textwrap.wrap(marked, 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines)


def _escape(text: str) -> str:
    """Return text whose characters roff prints as they are typed in a shell."""
    for character, escape in (
        ("\\", "\\e"),
        ("-", "\\-"),
        ("'", "\\(aq"),
        ("^", "\\(ha"),
        ("~", "\\(ti"),
        ('"', "\\(dq"),
    ):
        text = text.replace(character, escape)
    return "".join(one if one.isascii() else f"\\[u{ord(one):04X}]" for one in text)
