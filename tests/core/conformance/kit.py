# SPDX-License-Identifier: GPL-2.0-only
"""The kit without pytest, and what every test of its checks asks: right descriptions pass, slips are named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from hvolab.arch import Architecture
from hvolab.conformance.capabilities import DISASSEMBLER, EMULATED_CPU
from hvolab.conformance.check import Check, CheckOutcome, CheckStatus, make
from hvolab.conformance.checks import CHECKS, made
from hvolab.conformance.subject import subjects
from tests.core.conformance.author_mutants import AUTHORS
from tests.core.conformance.emulation_mutants import EMULATION
from tests.core.conformance.mutants import ARM_16K, DESCRIPTIONS, SV39, X86, Mutant

#: Capabilities that are missing where something is not installed, whatever the description.
_OF_THIS_PLACE = {DISASSEMBLER.name, EMULATED_CPU.name}
MUTANTS = (*DESCRIPTIONS, *AUTHORS, *EMULATION)


def outcomes(architecture: Architecture, checks: Iterable[Check] = CHECKS) -> Iterator[CheckOutcome]:
    """Make each check for each of its subjects, whatever it rests on, and yield the outcomes."""
    for check in checks:
        for subject in subjects(architecture, check.scope):
            yield make(check, subject)


def reported(architecture: Architecture, checks: Iterable[Check]) -> set[str]:
    """The checks that the kit reports as failed: those that rest on another failing one are blocked."""
    found = (made(check, subject) for check in checks for subject in subjects(architecture, check.scope))
    return {outcome.check for outcome in found if outcome.verdict is CheckStatus.FAILED}


def failed(architecture: Architecture, checks: Iterable[Check]) -> list[CheckOutcome]:
    """What fails of the checks."""
    return [outcome for outcome in outcomes(architecture, checks) if outcome.verdict is CheckStatus.FAILED]


def failed_by_name(architecture: Architecture, *names: str) -> list[CheckOutcome]:
    """What fails of the checks of these names; skips where one cannot be made here."""
    found = list(outcomes(architecture, [check for check in CHECKS if check.name in names]))
    for outcome in found:
        if outcome.capability in _OF_THIS_PLACE:
            pytest.skip(outcome.reason)
    return [outcome for outcome in found if outcome.verdict is CheckStatus.FAILED]


def mutants_of(checks: Iterable[Check]) -> list[Mutant]:
    """The mutants whose slip one of these checks has to name."""
    names = {check.name for check in checks}
    return [mutant for mutant in MUTANTS if mutant.check in names]


def assert_named(mutant: Mutant) -> None:
    """The check of a slip fails, with a reason, and so do others that the slip breaks."""
    named = (mutant.check, *mutant.also, *mutant.beside)
    found = failed_by_name(mutant.architecture, *named)
    assert {outcome.check for outcome in found} == set(named)
    assert all(outcome.reason for outcome in found)


def assert_right(checks: Iterable[Check]) -> None:
    """Right descriptions of three architectures pass, and at least one check is made for each."""
    checks = tuple(checks)
    for architecture in (X86, ARM_16K, SV39):
        found = list(outcomes(architecture, checks))
        assert [(one.check, one.reason) for one in found if one.verdict is CheckStatus.FAILED] == []
        assert any(one.verdict is CheckStatus.PASSED for one in found)


def slip(mutant: Mutant) -> str:
    """The name of a parameter."""
    return mutant.slip
