# SPDX-License-Identifier: GPL-2.0-only
"""Sizes in text (`2M`, `4 GiB`, `0x200000`), in both directions, and counts of huge pages by size."""

from __future__ import annotations

import re
from typing import Final

from hvolab.errors import UsageError

_UNITS: Final = "KMGTPE"
_STEP: Final = 10
_SIZE = re.compile(
    r"""\s* (?: (?P<hex> 0x[0-9a-f]{1,32}) \s* (?P<hex_unit> [KMGTP]?)
              | (?P<number> [0-9]{1,32})   \s* (?P<unit> [KMGTPE]?) (?:i?B)? ) \s*""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_COUNT = re.compile("[0-9]{1,18}")
_FORM: Final = "write a whole number of bytes, decimal or 0x, or one with K, M, G, T, P or E, as 64K, 2M or 4GiB"
_LIST_FORM: Final = "write size=count, several with commas between, as 2M=8,1G=1"
#: Up to this many of a smaller unit are printed exactly; above, a larger unit is printed with decimals.
_READABLE: Final = 100_000


def parse_size(text: str) -> int:
    """Return the bytes of a size: `2M`, `2MiB`, `64 K`, `4096`, `0x200000`.

    A unit is a power of two with or without an `i`, as in the kernel: memparse() in lib/cmdline.c,
    v6.12. Raises UsageError for anything else, fractions and negative numbers included.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a size", hint=_FORM)
    unit = match["unit"] or match["hex_unit"] or ""
    number = int(match["hex"], 16) if match["hex"] else int(match["number"])
    return number << _shift(unit)


def format_size(size: int) -> str:
    """Return a size for people: `2 MiB`, `28 KiB`, `16380 KiB`; rounded to two decimals only if no unit is near."""
    number, unit = _exactly(size)
    if number < _READABLE:
        return f"{number} {unit}iB" if unit else f"{number} bytes" if number != 1 else "1 byte"
    largest = _UNITS[min((size.bit_length() - 1) // _STEP, len(_UNITS)) - 1]
    rounded = f"{size / (1 << _shift(largest)):.2f}".rstrip("0").rstrip(".")
    return f"{rounded} {largest}iB"


def format_short(size: int) -> str:
    """Return a size in the shortest form of an option, always exact: `2M`, `16380K`, `4097`; parse_size() reads it."""
    number, unit = _exactly(size)
    return f"{number}{unit}"


def parse_hugepages(text: str) -> dict[int, int]:
    """Return numbers of huge pages by size in bytes: {2097152: 8, 1073741824: 1} for `2M=8,1G=1`, in that order.

    Raises UsageError for a missing `=`, a malformed size or count, a negative count, a size of 0, and a repeated size.
    """
    pages: dict[int, int] = {}
    for item in text.split(","):
        size_text, equals, count_text = item.partition("=")
        if not equals:
            wrong = f"{item.strip()!r} has no count of pages" if item.strip() else f"{text!r} has no size"
            raise UsageError(wrong, hint=_LIST_FORM)
        size, digits = parse_size(size_text), count_text.strip()
        if not _COUNT.fullmatch(digits):
            wrong = f"{digits!r} in {item.strip()!r} is not a number of pages"
            raise UsageError(wrong, hint="write a whole number, 0 or more")
        if not size:
            raise UsageError(f"{item.strip()!r} has pages of 0 bytes", hint=_LIST_FORM)
        if size in pages:
            raise UsageError(f"{format_short(size)} occurs twice in {text!r}", hint="name each size once")
        pages[size] = int(digits)
    return pages


def _shift(unit: str) -> int:
    """Return log2 of the unit of that letter; of a byte for the empty one."""
    return (_UNITS.index(unit.upper()) + 1) * _STEP if unit else 0


def _exactly(size: int) -> tuple[int, str]:
    """Return the size in the largest unit of which it is a multiple; raises UsageError for a negative one."""
    if size < 0:
        raise UsageError(f"{size} is not a size", hint="use a size of 0 or more")
    zeros = (size & -size).bit_length() - 1 if size else 0
    steps = min(zeros // _STEP, len(_UNITS))
    return size >> (steps * _STEP), _UNITS[steps - 1] if steps else ""
