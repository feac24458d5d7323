"""Sequences on an emulated CPU: those of right descriptions have their effects, and each slip is named."""

from __future__ import annotations

import pytest

from hvolab.conformance.checks import effects
from tests.core.conformance.kit import assert_named, failed_by_name, mutants_of, slip
from tests.core.conformance.mutants import SV39, Mutant


def test_the_sequences_of_a_right_description_have_their_effects() -> None:
    assert failed_by_name(SV39, *(check.name for check in effects.checks)) == []


@pytest.mark.parametrize("mutant", mutants_of(effects.checks), ids=slip)
def test_a_slip_is_named_by_its_check(mutant: Mutant) -> None:
    assert_named(mutant)
