"""Settings of properties: the same examples in every run, and nothing stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hvolab.conformance.property import repeatable


def drawn() -> list[int]:
    """The examples of one run of a property."""
    found: list[int] = []

    @repeatable
    @given(st.integers(0, 1 << 64))
    def draw(number: int) -> None:
        found.append(number)

    draw()
    return found


def test_every_run_draws_the_same_examples() -> None:
    examples = drawn()
    assert len(set(examples)) > 10
    assert drawn() == examples


def test_no_database_keeps_examples() -> None:
    assert repeatable.database is None
