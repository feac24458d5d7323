# SPDX-License-Identifier: GPL-2.0-only
"""Forms of entries, and encoding against decoding: right descriptions pass, and slips are noticed."""

from __future__ import annotations

import pytest

from hvolab.conformance.check import Check
from hvolab.conformance.checks import entries
from tests.core.conformance.kit import MUTANTS, assert_named, assert_right, mutants_of, slip
from tests.core.conformance.mutants import Mutant

NAMES = {"decoding_undoes_encoding", "encoding_undoes_decoding", "pfn_pte_and_pte_pfn"}
CODEC = [check for check in entries.checks if check.name in NAMES]
FORMS = [check for check in entries.checks if check not in CODEC]
BLOCKED = [mutant for mutant in MUTANTS if NAMES & set(mutant.also)]


@pytest.mark.slow
@pytest.mark.parametrize("checks", [FORMS, *([check] for check in CODEC)], ids=lambda checks: checks[0].name)
def test_right_descriptions_pass(checks: list[Check]) -> None:
    assert_right(checks)


@pytest.mark.parametrize("mutant", mutants_of(FORMS), ids=slip)
def test_a_slip_is_named_by_its_check(mutant: Mutant) -> None:
    assert_named(mutant)


def test_a_slip_in_the_forms_blocks_each_check_of_encoding() -> None:
    assert {name for mutant in BLOCKED for name in mutant.also} & NAMES == NAMES
