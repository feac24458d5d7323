# SPDX-License-Identifier: GPL-2.0-only
"""Sizes in text (`2M`, `4 GiB`, `0x200000`), in both directions, and counts of huge pages by size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Self

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
_LIST_FORM: Final = "write size=count, several with commas between, as 2M=8,1G=1, or count by node, as 2M=0:2,1:3"
#: Up to this many of a smaller unit are printed exactly; above, a larger unit is printed with decimals.
_READABLE: Final = 100_000


class NodeCounts(int):
    """Number of huge pages, with the number of each node that has a request of its own."""

    nodes: Mapping[int, int]

    def __new__(cls, nodes: Mapping[int, int]) -> Self:
        """Make the sum of the numbers, by node."""
        self = super().__new__(cls, sum(nodes.values()))
        self.nodes = dict(nodes)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a copy is made of."""
        return type(self), (self.nodes,)


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


def format_count(count: int) -> str:
    """Return a number of huge pages as hugepages= takes it: `5`, or `0:2,1:3` by node."""
    nodes = count.nodes if isinstance(count, NodeCounts) else {}
    return ",".join(f"{node}:{number}" for node, number in nodes.items()) or str(int(count))


def parse_hugepages(text: str) -> dict[int, int]:
    """Return numbers of huge pages by size in bytes: {2097152: 8, 1073741824: 1} for `2M=8,1G=1`, in that order.

    A number may be given by node, as hugepages= takes it: `2M=0:2,1:3` is two on node 0 and three on node 1, as
    NodeCounts. Kernel: hugepages_setup() in mm/hugetlb.c, v6.12.

    Raises UsageError for a missing `=`, a malformed size, node or count, a negative count, a size of 0, and a size or
    node that occurs twice.
    """
    pages: dict[int, list[str]] = {}
    for item in text.split(","):
        size_text, equals, counts = item.partition("=")
        if not equals and pages and ":" in item and ":" in next(reversed(pages.values()))[0]:
            next(reversed(pages.values())).append(item.strip())  # one more node of the same size
            continue
        if not equals:
            wrong = f"{item.strip()!r} has no count of pages" if item.strip() else f"{text!r} has no size"
            raise UsageError(wrong, hint=_LIST_FORM)
        size = parse_size(size_text)
        if not size:
            raise UsageError(f"{item.strip()!r} has pages of 0 bytes", hint=_LIST_FORM)
        if size in pages:
            raise UsageError(f"{format_short(size)} occurs twice in {text!r}", hint="name each size once")
        pages[size] = [counts.strip()]
    return {size: _pages(size, counts) for size, counts in pages.items()}


def _pages(size: int, counts: list[str]) -> int:
    """Return the number of pages of a size: one number, or one for each node."""
    if ":" not in counts[0]:
        return _number(counts[0], f"{format_short(size)}={counts[0]}")
    nodes: dict[int, int] = {}
    for item in counts:
        node, _, count = (part.strip() for part in item.partition(":"))
        if not _COUNT.fullmatch(node):
            raise UsageError(f"{node!r} in {item!r} is not the number of a node", hint=_LIST_FORM)
        if int(node) in nodes:
            raise UsageError(f"node {node} occurs twice for {format_short(size)}", hint="name each node once")
        nodes[int(node)] = _number(count, item)
    return NodeCounts(nodes)


def _number(digits: str, item: str) -> int:
    """Return a number of pages in an item."""
    if not _COUNT.fullmatch(digits):
        raise UsageError(f"{digits!r} in {item!r} is not a number of pages", hint="write a whole number, 0 or more")
    return int(digits)


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
