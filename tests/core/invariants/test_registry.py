"""The registry has every module of the rules, each under a number and a name of its own."""

from __future__ import annotations

from pkgutil import iter_modules

from hvolab.invariants import INVARIANTS, rules


def test_every_module_is_registered_once_under_its_own_name() -> None:
    assert sorted(invariant.name for invariant in INVARIANTS) == sorted(
        found.name for found in iter_modules(rules.__path__)
    )


def test_numbers_are_unique_and_ascend() -> None:
    numbers = [invariant.number for invariant in INVARIANTS]
    assert numbers == sorted(set(numbers))


def test_each_is_checked_and_described() -> None:
    for invariant in INVARIANTS:
        assert invariant.kind in {"state", "history", "state and history"}
        assert invariant.sentence.endswith(".")
        assert invariant.details
