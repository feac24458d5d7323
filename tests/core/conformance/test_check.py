# SPDX-License-Identifier: GPL-2.0-only
"""Checks: their names come from functions, their outcomes from what the functions raise."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hvolab.conformance.check import Capability, Check, CheckFailed, CheckOutcome, Checks, CheckStatus, make, require
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import EncodingError
from hvolab.serialize import as_data
from tests.core.conformance.mutants import X86

SUBJECT = Subject(X86, "4-level", "strict")
NEVER = Capability("wings", "grow some", lambda _: "it has none")
checks = Checks()


@checks.add(Scope.MODE)
def all_is_well(subject: Subject) -> None:
    """All is well.

    The rest of the docstring is not the sentence.
    """
    require(subject.mode_name, "a subject without a mode")


@checks.add(Scope.MODE)
def nothing_holds(_: Subject) -> None:
    """Nothing holds."""
    require(holds=False, what="it does not", hint="correct it")


@checks.add(Scope.MODE)
def it_is_refused(_: Subject) -> None:
    """It is refused."""
    raise EncodingError("bit 9 is reserved", where="PTE 0x200")


@checks.add(Scope.MODE, NEVER)
def it_flies(_: Subject) -> None:
    """It flies."""
    raise AssertionError("a check without its capability is not made")


@checks.add(Scope.MODE, since="1.7")
def it_is_new(_: Subject) -> None:
    """It is new."""
    require(holds=False, what="it is not kept yet")


def outcome_of(name: str, subject: Subject = SUBJECT) -> CheckOutcome:
    return make(next(check for check in checks if check.name == name), subject)


def test_a_check_is_named_by_its_function_and_the_first_line_of_its_docstring() -> None:
    assert [check.name for check in checks] == [
        *("all_is_well", "nothing_holds", "it_is_refused", "it_flies", "it_is_new")
    ]
    assert next(iter(checks)).proves == "All is well."


def test_outcomes_are_those_of_the_functions() -> None:
    assert outcome_of("all_is_well").verdict is CheckStatus.PASSED
    failed = outcome_of("nothing_holds")
    assert failed.verdict is CheckStatus.FAILED
    assert failed.reason == "it does not; where: x86_64 4-level strict; hint: correct it"
    assert outcome_of("it_is_refused").reason == "bit 9 is reserved; where: PTE 0x200"


def test_a_check_without_its_capability_is_skipped_with_reason_and_hint() -> None:
    skipped = outcome_of("it_flies")
    assert (skipped.verdict, skipped.capability) == (CheckStatus.SKIPPED, "wings")
    assert skipped.reason == "needs wings: it has none; hint: grow some"


def test_a_failure_of_a_newer_check_is_advisory_in_the_release_that_added_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome_of("it_is_new").verdict is CheckStatus.FAILED
    monkeypatch.setattr("hvolab.conformance.version.KIT", "1.7")
    monkeypatch.setattr("hvolab.conformance.version.is_advisory.__defaults__", ("1.7",))
    assert outcome_of("it_is_new").verdict is CheckStatus.ADVISORY
    newer = replace(X86, kit="1.7")
    assert outcome_of("it_is_new", Subject(newer, "4-level")).verdict is CheckStatus.FAILED


def test_an_outcome_survives_json() -> None:
    for check in checks:
        outcome = make(check, SUBJECT)
        assert CheckOutcome.from_data(json.loads(json.dumps(as_data(outcome)))) == outcome
    assert outcome.subject == "4-level strict"


def test_a_failure_is_an_assertion_for_test_frameworks() -> None:
    with pytest.raises(AssertionError, match="it does not") as caught:
        require(holds=False, what="it does not", where="here")
    assert isinstance(caught.value, CheckFailed)
    assert caught.value.where == "here"


@pytest.mark.parametrize(
    "error", [TypeError("no number"), SystemExit(0), pytest.skip.Exception("not here")], ids=lambda e: type(e).__name__
)
def test_a_check_that_raises_has_failed_and_names_the_place(error: BaseException) -> None:
    def proof(_: Subject) -> None:
        raise error

    outcome = make(Check("raises", "It ends.", Scope.MODE, (), proof), SUBJECT)
    assert outcome.verdict is CheckStatus.FAILED
    assert outcome.reason.startswith(
        f"the check ends with {type(error).__name__}: {error}; where: {SUBJECT}; {__file__}:"
    )


def test_an_interrupt_of_a_check_is_the_users() -> None:
    def proof(_: Subject) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(Check("waits", "It ends.", Scope.MODE, (), proof), SUBJECT)
