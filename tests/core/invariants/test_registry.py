"""The registry has the invariants of every module, each with a number and a name of its own."""

from __future__ import annotations

import inspect
from pkgutil import iter_modules

from hvolab.invariants import INVARIANTS, rules


def test_every_module_has_invariants() -> None:
    checks = [invariant.state or invariant.history for invariant in INVARIANTS]
    modules = {check.__module__.rpartition(".")[2] for check in checks if check is not None}
    assert modules == {found.name for found in iter_modules(rules.__path__)}


def test_numbers_and_names_are_unique_and_numbers_ascend() -> None:
    numbers = [invariant.number for invariant in INVARIANTS]
    assert numbers == sorted(set(numbers))
    assert len({invariant.name for invariant in INVARIANTS}) == len(numbers)


def test_each_is_a_state_or_a_history_with_a_sentence_and_details() -> None:
    for invariant in INVARIANTS:
        sentence, _, details = (inspect.getdoc(invariant.state or invariant.history) or "").partition("\n\n")
        assert sentence.endswith("."), invariant.name
        assert details, invariant.name
