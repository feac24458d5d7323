# SPDX-License-Identifier: GPL-2.0-only
"""Grammar of the kernel's command line, v6.12: parameters, booleans, sizes and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_SPACE: Final = " \t\n\v\f\r\xa0"
_WORD_MASK: Final = (1 << 64) - 1
_UNITS: Final = "kmgtpe"
_UNSIGNED = re.compile(r"[ \t\n\v\f\r]*([0-9]+)", re.ASCII)
_STRTOULL = re.compile(r"0x([0-9a-f]+)|0([0-7]*)|([1-9][0-9]*)", re.ASCII | re.IGNORECASE)
#: Values by their first letter; after an `o` the second decides.
_BOOLEANS: Final = {"y": True, "t": True, "1": True, "on": True, "n": False, "f": False, "0": False, "of": False}


class Parameter(NamedTuple):
    """One parameter: its name, and its value, or None without an equals sign."""

    name: str
    value: str | None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"

    def matches(self, name: str) -> bool:
        """Return whether it has a name; dashes count as underscores. Kernel: parameq() in kernel/params.c."""
        return self.name.replace("-", "_") == name.replace("-", "_")


def parse_args(text: str) -> Iterator[Parameter]:
    """Yield the parameters of a command line, up to `--`, behind which are the arguments of init.

    White space separates parameters unless it is between double quotes, which may be anywhere. Quotes around a whole
    parameter, and around a whole value, are removed; others stay. An equals sign in front belongs to the name.
    Kernel: parse_args() in kernel/params.c, next_arg() in lib/cmdline.c, v6.12.
    """
    rest = text.lstrip(_SPACE)
    while rest:
        parameter, rest = _next_arg(rest)
        if parameter == ("--", None):
            return
        yield parameter


def _next_arg(text: str) -> tuple[Parameter, str]:
    """Return the first parameter, and the text behind it."""
    quoted = text.startswith('"')
    text = text[quoted:]
    inside, end = quoted, len(text)
    for place, letter in enumerate(text):
        if letter in _SPACE and not inside:
            end = place
            break
        inside = inside != (letter == '"')
    word, rest = text[:end], text[end:].lstrip(_SPACE)
    equals = word.find("=", 1)
    name, value = (word, None) if equals < 0 else (word[:equals], word[equals + 1 :])
    if value is None:
        return Parameter(name.removesuffix('"') if quoted else name, None), rest
    ends_quoted = value.startswith('"') or quoted
    value = value.removeprefix('"')
    return Parameter(name, value.removesuffix('"') if ends_quoted else value), rest


def kstrtobool(text: str) -> bool | None:
    """Return the boolean that a text begins with: y, t, 1, on, n, f, 0 or of, in any case; None for other texts.

    Left out: e and d (enable, disable), which v7.2 reads as well. Kernel: kstrtobool() in lib/kstrtox.c, v6.12.
    """
    lower = text.lower()
    return _BOOLEANS.get(lower[: 2 if lower.startswith("o") else 1])


def memparse(text: str) -> tuple[int, str]:
    """Return the bytes of a size at the start of a text, 0 if there is none, and the text behind it.

    The number is decimal, octal after 0, or hexadecimal after 0x, and may have one of K, M, G, T, P and E behind it.
    Kernel: memparse() in lib/cmdline.c, v6.12.
    """
    match = _STRTOULL.match(text)
    size, rest = 0, text
    if match is not None:
        hexadecimal, octal, decimal = match.groups()
        size = int(hexadecimal, 16) if hexadecimal else int(decimal) if decimal else int(octal or "0", 8)
        rest = text[match.end() :]
    unit = rest[:1].lower()
    if unit and unit in _UNITS:
        return size << (_UNITS.index(unit) + 1) * 10 & _WORD_MASK, rest[1:]
    return size & _WORD_MASK, rest


def scan_unsigned(text: str) -> tuple[int, str] | None:
    """Return the decimal number at the start of a text, which spaces may precede, and the text behind it, or None.

    Kernel: sscanf() with %lu in lib/vsprintf.c, v6.12.
    """
    match = _UNSIGNED.match(text)
    return None if match is None else (int(match[1]) & _WORD_MASK, text[match.end() :])
