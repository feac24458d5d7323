# SPDX-License-Identifier: GPL-2.0-only
"""The emulation part: right descriptions pass, and each slip fails the check that names it, some only by a walk."""

from __future__ import annotations

import pytest

from hvolab.conformance.check import CheckStatus
from hvolab.conformance.checks import CHECKS, emulation
from tests.core.conformance.emulation_mutants import WALKED
from tests.core.conformance.kit import assert_named, assert_right, failed, failed_by_name, mutants_of, outcomes, slip
from tests.core.conformance.mutants import SV39, Mutant
from tests.made_up import MADE_UP

EFFECTS = [check for check in emulation.checks if check.name.endswith("_declared_effect")]
ACCESSES = [check for check in emulation.checks if check.name.startswith("accesses_match_")]
DECLARED = [check for check in emulation.checks if check not in (*EFFECTS, *ACCESSES)]
#: What a whole life of HVO costs is not needed to notice a slip in a description.
FAST = tuple(check for check in CHECKS if not check.name.startswith("hvo_"))


def test_right_descriptions_pass() -> None:
    assert_right(DECLARED)


@pytest.mark.parametrize("mutant", mutants_of([*DECLARED, *EFFECTS]), ids=slip)
def test_a_slip_is_named_by_its_check(mutant: Mutant) -> None:
    assert_named(mutant)


def test_the_sequences_of_a_right_description_have_their_effects() -> None:
    assert failed_by_name(SV39, *(check.name for check in EFFECTS)) == []


def test_a_description_without_instructions_is_skipped() -> None:
    made = list(outcomes(MADE_UP, ACCESSES))
    assert {one.verdict for one in made} == {CheckStatus.SKIPPED}
    assert {one.capability for one in made} == {"emulation"}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", mutants_of(ACCESSES), ids=slip)
def test_a_slip_of_the_mmu_is_named_by_its_check(mutant: Mutant) -> None:
    assert_named(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", WALKED, ids=slip)
def test_no_other_check_sees_a_slip_that_only_a_walk_shows(mutant: Mutant) -> None:
    failed_by_name(mutant.architecture, mutant.check)  # skips where nothing can be walked
    assert {outcome.check for outcome in failed(mutant.architecture, FAST)} == {mutant.check, *mutant.also}
