# SPDX-License-Identifier: GPL-2.0-only
"""Samples for checks: legal entries of a form, values of a field, and examples that hypothesis generates."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice, product

from hypothesis import HealthCheck, settings

from hvolab.arch import EntryForm, EntryFormat, Field

#: Settings of property tests: the same examples in every run, and nothing stored on disk.
repeatable = settings(
    max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
#: Wider fields are tried with each bit, none and all of them.
_EXHAUSTIVE_WIDTH = 8


def values_of(field: Field) -> list[int]:
    """Return the values of a field to try: all, or for a wide one each bit, none and all of them."""
    if field.width <= _EXHAUSTIVE_WIDTH:
        return list(range(field.limit))
    return [0, field.limit - 1, *(1 << bit for bit in range(field.width))]


def legal_entries(entry_format: EntryFormat, level: str, form: EntryForm) -> list[int]:
    """Return one legal entry for each pattern of `form` that has any: address 0, constant bits and few others set."""
    found: list[int] = []
    for match in form.recognize:
        base = match.value | form.put_fields(())
        legal = (raw for raw in _candidates(form, base) if is_legal(entry_format, level, form, raw))
        found += islice(legal, 1)
    return found


def is_legal(entry_format: EntryFormat, level: str, form: EntryForm, raw: int) -> bool:
    """Return True for an entry of `form` that breaks no rule."""
    return entry_format.recognize(level, raw) is form and not entry_format.broken_rules(level, raw)


def _candidates(form: EntryForm, base: int) -> Iterator[int]:
    """Yield the base, then the base with each value of one field, then of two."""
    yield base
    for number in (1, 2):
        for fields in combinations(form.fields, number):
            for chosen in product(*(values_of(field) for field in fields)):
                raw = base
                for field, value in zip(fields, chosen, strict=True):
                    raw = raw & ~field.mask | value << field.low
                yield raw
