# SPDX-License-Identifier: GPL-2.0-only
"""Rows that repeat, folded into loops without loss.

Rows of one shape that differ evenly are written once: a row ``[LOOP, count, length]``, the ``length`` rows of the first
pass, and ``length`` rows with what is added to each integer in every further pass. Loops may be in loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Row = tuple[int, ...]
#: First integer of a row that begins a loop.
LOOP = 0
#: Most items of one pass of a loop, for each round of folding; so deep are loops in loops. Short ones come first, so
#: that the inner loops are found. HVO's work on one folio is about 70 items.
_LONGEST = (8, 24, 100, 100)
#: Fewest passes that are folded.
_FEWEST = 3


class _Item:
    """Rows that are folded as one: a row, or a loop."""

    __slots__ = ("rows", "shape", "values")

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self.rows = rows
        fixed = (row[:3] if row[0] == LOOP else (row[0], len(row)) for row in rows)
        self.shape = hash(tuple(fixed))
        self.values = tuple(value for row in rows for value in row)


def fold(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with loops in the place of repetitions; :func:`unfold` is the inverse."""
    items = [_Item((row,)) for row in rows]
    for longest in _LONGEST:
        items = _folded(items, longest)
    return [row for item in items for row in item.rows]


def unfold(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows that :func:`fold` was given."""
    position = 0
    while position < len(rows):
        row = rows[position]
        position += 1
        if row[0] != LOOP:
            yield row
            continue
        _, count, length = row
        body, steps = rows[position : position + length], rows[position + length : position + 2 * length]
        position += 2 * length
        for turn in range(count):
            moved = [
                tuple(value + turn * step for value, step in zip(one, each, strict=True))
                for one, each in zip(body, steps, strict=True)
            ]
            yield from unfold(moved)


def _folded(items: list[_Item], longest: int) -> list[_Item]:
    found: list[_Item] = []
    position = 0
    while position < len(items):
        period, count = _loop_at(items, position, longest)
        if not count:
            found.append(items[position])
            position += 1
            continue
        body = items[position : position + period]
        following = items[position + period : position + 2 * period]
        rows = [row for item in body for row in item.rows]
        later = [row for item in following for row in item.rows]
        steps = [tuple(b - a for a, b in zip(one, two, strict=True)) for one, two in zip(rows, later, strict=True)]
        found.append(_Item(((LOOP, count, len(rows)), *rows, *steps)))
        position += period * count
    return found


def _loop_at(items: list[_Item], start: int, longest: int) -> tuple[int, int]:
    """Return period and number of passes of the loop at a position that saves most items; 0 passes: there is none."""
    best, saved = (0, 0), 0
    for period in range(1, min(longest, (len(items) - start) // _FEWEST) + 1):
        if items[start].shape != items[start + period].shape:
            continue
        count = _passes(items, start, period)
        if count >= _FEWEST and (count - 2) * period > saved:
            best, saved = (period, count), (count - 2) * period
    return best


def _passes(items: list[_Item], start: int, period: int) -> int:
    """Return how many passes from ``start`` on differ evenly."""
    steps: list[tuple[int, ...]] = []
    for offset in range(period):
        one, two = items[start + offset], items[start + period + offset]
        if one.shape != two.shape or len(one.values) != len(two.values):
            return 0
        steps.append(tuple(b - a for a, b in zip(one.values, two.values, strict=True)))
    position = start + 2 * period
    while position < len(items):
        one, two = items[position - period], items[position]
        step = steps[(position - start) % period]
        if one.shape != two.shape or len(one.values) != len(two.values):
            break
        if any(b - a != d for a, b, d in zip(one.values, two.values, step, strict=True)):
            break
        position += 1
    return (position - start) // period
