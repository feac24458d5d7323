# SPDX-License-Identifier: GPL-2.0-only
"""Wrong plugins: there are many, each has its check, and the descriptions they were made of are right."""

from __future__ import annotations

import pytest

from hvolab.arch import Architecture, PgprotRole
from hvolab.conformance.capabilities import EMULATED_CPU
from hvolab.conformance.check import CheckStatus
from hvolab.conformance.checks import CHECKS, made
from hvolab.conformance.subject import Subject
from tests.core.conformance.checks.test_emulation import FAST
from tests.core.conformance.kit import MUTANTS, failed, mutants_of, reported, slip
from tests.core.conformance.mutants import RIGHT, X86, Mutant
from tests.core.conformance.slips import in_pgprots
from tests.samples import one_in

#: Checks that need no emulator.
REPORTING = {check.name: check for check in FAST if EMULATED_CPU not in check.needs}


def test_there_are_more_than_a_hundred_mutants_and_each_is_another() -> None:
    assert len(MUTANTS) >= 105
    assert len({mutant.slip for mutant in MUTANTS}) == len(MUTANTS)
    assert not any(mutant.architecture in RIGHT for mutant in MUTANTS)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", one_in(3, RIGHT, lambda right: f"{right.name}-{right.modes[0].name}"))
def test_what_the_mutants_were_made_of_is_right(architecture: Architecture) -> None:
    assert [(outcome.check, outcome.reason) for outcome in failed(architecture, FAST)] == []


@pytest.mark.slow
@pytest.mark.parametrize("mutant", one_in(32, [one for one in MUTANTS if one.check in REPORTING], slip))
def test_a_slip_is_reported_once(mutant: Mutant) -> None:
    assert reported(mutant.architecture, REPORTING.values()) == {mutant.check, *mutant.beside}


def test_a_check_that_rests_on_a_failing_one_is_blocked_and_names_it() -> None:
    wrong = in_pgprots(X86, PgprotRole.TABLE, drop=("RW",))
    names = ("pte_mkwrite_and_pte_wrprotect", "hvo_holds_from_boot_to_restore")
    found = [made(check, Subject(wrong, "4-level")) for check in CHECKS if check.name in names]
    assert {one.verdict for one in found} == {CheckStatus.PASSED, CheckStatus.BLOCKED}
    assert "rests on page_kernel_can_be_read_and_written, which fails" in found[1].reason


def test_every_mutant_is_tried_with_the_module_of_its_check() -> None:
    assert set(mutants_of(CHECKS)) == set(MUTANTS)


def test_every_check_of_a_description_kills_a_mutant() -> None:
    killing = {name for mutant in MUTANTS for name in (mutant.check, *mutant.also)}
    assert {check.name for check in FAST} - killing == set()
