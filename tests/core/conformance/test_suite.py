# SPDX-License-Identifier: GPL-2.0-only
"""The class for plugins' own tests: a test for each check, which ends as its outcome demands."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole
from hvolab.conformance import Conformance
from hvolab.conformance.checks import CHECKS, algebra, protections
from hvolab.conformance.subject import Subject
from hvolab.conformance.version import PROPERTY
from tests.core.conformance.mutants import SV39, X86
from tests.core.conformance.slips import in_pgprots


class Mine(Conformance):
    """Not collected: its name does not begin as pytest demands."""

    architecture = X86
    checks = (*algebra.checks, *protections.checks)


def run(name: str, subject: Subject) -> dict[str, object]:
    """Run one test of the class; what it recorded."""
    recorded: dict[str, object] = {}
    getattr(Mine(), f"test_{name}")(subject, recorded.__setitem__)
    found = recorded[PROPERTY]
    assert isinstance(found, dict)
    return found


def test_a_subclass_has_one_test_for_each_of_its_checks() -> None:
    names = {name for name in vars(Mine) if name.startswith("test_")}
    assert names == {f"test_{check.name}" for check in Mine.checks}
    assert len(CHECKS) > len(names)
    assert Mine.test_page_kernel_ro_is_read_only.__doc__ == "A store through PAGE_KERNEL_RO is refused, a load is not."  # type: ignore[attr-defined]


def test_a_check_that_passes_records_its_outcome() -> None:
    outcome = run("page_kernel_ro_is_read_only", Subject(X86, "4-level"))
    assert (outcome["verdict"], outcome["mode"]) == ("passed", "4-level")


def test_a_check_that_fails_fails_the_test_with_sentence_and_reason() -> None:
    wrong = in_pgprots(X86, PgprotRole.KERNEL_RO, add=(("RW", 1),))
    with pytest.raises(pytest.fail.Exception, match=r"(?s)is refused, a load is not.*PAGE_KERNEL_RO can be written"):
        run("page_kernel_ro_is_read_only", Subject(wrong, "4-level"))


def test_a_check_without_its_capability_skips_the_test() -> None:
    with pytest.raises(pytest.skip.Exception, match="needs read-only tails: profile linux declares"):
        run("page_kernel_ro_is_read_only", Subject(SV39, "Sv39"))
