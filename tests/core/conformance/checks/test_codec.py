"""Encoding against decoding: right descriptions pass, and a format that mixes up bits does not."""

from __future__ import annotations

import pytest

from hvolab.conformance.check import Check
from hvolab.conformance.checks import codec
from tests.core.conformance.kit import MUTANTS, assert_right, failed, slip
from tests.core.conformance.mutants import Mutant

NAMES = {check.name for check in codec.checks}
BREAKING = [mutant for mutant in MUTANTS if NAMES & set(mutant.also)]


@pytest.mark.parametrize("check", codec.checks, ids=lambda check: check.name)
def test_right_descriptions_pass(check: Check) -> None:
    assert_right([check])


@pytest.mark.parametrize("mutant", BREAKING, ids=slip)
def test_a_slip_that_breaks_encoding_is_noticed(mutant: Mutant) -> None:
    assert {outcome.check for outcome in failed(mutant.architecture, codec.checks)} >= NAMES & set(mutant.also)


def test_every_check_of_the_module_notices_a_slip() -> None:
    assert {name for mutant in BREAKING for name in mutant.also} & NAMES == NAMES
