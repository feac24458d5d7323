"""The kit kills every wrong plugin, by the check that names the mistake, and leaves the right ones alone."""

from __future__ import annotations

import pytest

from hvolab.arch import Architecture, PgprotRole
from hvolab.conformance.capabilities import DISASSEMBLER, EMULATED_CPU
from hvolab.conformance.check import CheckOutcome, CheckStatus
from hvolab.conformance.checks import CHECKS, scenario
from tests.core.conformance.emulation_mutants import EMULATION, WALKED
from tests.core.conformance.kit import outcomes
from tests.core.conformance.mutants import DESCRIPTIONS, RIGHT, X86, Mutant
from tests.core.conformance.slips import in_pgprots

#: Capabilities that are missing where something is not installed, whatever the description.
_OF_THIS_PLACE = {DISASSEMBLER.name, EMULATED_CPU.name}
MUTANTS = (*DESCRIPTIONS, *EMULATION)
#: What a whole life of HVO costs is not needed to notice a slip in a description.
FAST = tuple(check for check in CHECKS if check not in tuple(scenario.checks))


def failed(architecture: Architecture, *names: str) -> list[CheckOutcome]:
    """What fails, of the checks of these names or of all the fast ones; skips where one cannot be made here."""
    checks = tuple(check for check in CHECKS if check.name in names) if names else FAST
    made = list(outcomes(architecture, checks))
    for outcome in made if names else ():
        if outcome.capability in _OF_THIS_PLACE:
            pytest.skip(outcome.reason)
    return [outcome for outcome in made if outcome.verdict is CheckStatus.FAILED]


def test_there_are_more_than_thirty_mutants_and_each_is_another() -> None:
    assert len(MUTANTS) >= 30
    assert len({mutant.slip for mutant in MUTANTS}) == len(MUTANTS)
    assert not any(mutant.architecture in RIGHT for mutant in MUTANTS)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", RIGHT, ids=lambda right: f"{right.name}-{right.modes[0].name}")
def test_what_the_mutants_were_made_of_is_right(architecture: Architecture) -> None:
    assert [(outcome.check, outcome.reason) for outcome in failed(architecture)] == []


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.slip)
def test_a_slip_is_named_by_its_check(mutant: Mutant) -> None:
    named = (mutant.check, *mutant.also)
    found = failed(mutant.architecture, *named)
    assert {outcome.check for outcome in found} == set(named)
    assert all(outcome.reason for outcome in found)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", WALKED, ids=lambda mutant: mutant.slip)
def test_what_only_walking_tells_no_other_check_sees(mutant: Mutant) -> None:
    failed(mutant.architecture, mutant.check)  # skips where nothing can be walked
    assert {outcome.check for outcome in failed(mutant.architecture)} == {mutant.check, *mutant.also}


def test_every_check_of_a_description_kills_a_mutant() -> None:
    killing = {name for mutant in MUTANTS for name in (mutant.check, *mutant.also)}
    assert {check.name for check in FAST} - killing == set()


@pytest.mark.parametrize("name", [check.name for check in scenario.checks])
def test_hvo_itself_fails_where_the_kernel_cannot_store(name: str) -> None:
    wrong = in_pgprots(X86, PgprotRole.TABLE, drop=("RW",))
    assert "permission fault" in failed(wrong, name)[0].reason
