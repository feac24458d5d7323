"""Accesses on an emulated CPU: slips that only a walk shows, and descriptions whose CPUs are not emulated."""

from __future__ import annotations

import pytest

from hvolab.conformance.check import CheckStatus
from hvolab.conformance.checks import CHECKS, accesses, scenario
from tests.core.conformance.emulation_mutants import WALKED
from tests.core.conformance.kit import assert_named, failed, failed_by_name, mutants_of, outcomes, slip
from tests.core.conformance.mutants import Mutant
from tests.made_up import MADE_UP

#: What a whole life of HVO costs is not needed to notice a slip in a description.
FAST = tuple(check for check in CHECKS if check not in tuple(scenario.checks))


def test_a_description_without_instructions_is_skipped() -> None:
    made = list(outcomes(MADE_UP, accesses.checks))
    assert {one.verdict for one in made} == {CheckStatus.SKIPPED}
    assert {one.capability for one in made} == {"emulation"}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", mutants_of(accesses.checks), ids=slip)
def test_a_slip_is_named_by_its_check(mutant: Mutant) -> None:
    assert_named(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", WALKED, ids=slip)
def test_no_other_check_sees_a_slip_that_only_a_walk_shows(mutant: Mutant) -> None:
    failed_by_name(mutant.architecture, mutant.check)  # skips where nothing can be walked
    assert {outcome.check for outcome in failed(mutant.architecture, FAST)} == {mutant.check, *mutant.also}
