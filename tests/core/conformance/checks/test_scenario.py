"""HVO under every allocation failure: it holds on a right description, and fails where the kernel cannot store."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole
from hvolab.conformance.check import CheckStatus, make
from hvolab.conformance.checks import scenario
from hvolab.conformance.subject import Subject
from tests.core.conformance.kit import failed_by_name
from tests.core.conformance.mutants import SV39, X86
from tests.core.conformance.slips import in_pgprots


@pytest.mark.parametrize("name", [check.name for check in scenario.checks])
def test_hvo_itself_fails_where_the_kernel_cannot_store(name: str) -> None:
    wrong = in_pgprots(X86, PgprotRole.TABLE, drop=("RW",))
    assert "permission fault" in failed_by_name(wrong, name)[0].reason


@pytest.mark.parametrize("name", ["hvo_holds_from_boot_to_restore", "hvo_holds_under_every_allocation_failure"])
def test_hvo_holds_on_a_right_description(name: str) -> None:
    (check,) = (one for one in scenario.checks if one.name == name)
    outcome = make(check, Subject(SV39, "Sv39", "strict"))
    assert (outcome.verdict, outcome.reason) == (CheckStatus.PASSED, "")
