# SPDX-License-Identifier: GPL-2.0-only
"""Behavior on a machine, and HVO under every allocation failure: right descriptions pass, slips fail."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole
from hvolab.conformance.check import CheckStatus, make
from hvolab.conformance.checks import behavior
from hvolab.conformance.subject import Subject
from tests.core.conformance.kit import assert_named, assert_right, failed_by_name, mutants_of, slip
from tests.core.conformance.mutants import SV39, X86, Mutant
from tests.core.conformance.slips import in_pgprots

#: Checks that run HVO as a whole, under allocation failures too.
HVO = [check for check in behavior.checks if check.name.startswith("hvo_")]
OTHERS = [check for check in behavior.checks if check not in HVO]


@pytest.mark.slow
def test_right_descriptions_pass() -> None:
    assert_right(OTHERS)


@pytest.mark.parametrize("mutant", mutants_of(OTHERS), ids=slip)
def test_a_slip_is_named_by_its_check(mutant: Mutant) -> None:
    assert_named(mutant)


@pytest.mark.parametrize("name", [check.name for check in HVO])
def test_hvo_itself_fails_where_the_kernel_cannot_store(name: str) -> None:
    wrong = in_pgprots(X86, PgprotRole.TABLE, drop=("RW",))
    assert "permission fault" in failed_by_name(wrong, name)[0].reason


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hvo_holds_from_boot_to_restore", "hvo_holds_under_every_allocation_failure"])
def test_hvo_holds_on_a_right_description(name: str) -> None:
    (check,) = (one for one in HVO if one.name == name)
    outcome = make(check, Subject(SV39, "Sv39", "strict"))
    assert (outcome.verdict, outcome.reason) == (CheckStatus.PASSED, "")
