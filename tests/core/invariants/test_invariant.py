# SPDX-License-Identifier: GPL-2.0-only
"""An invariant reports findings that name it, as text and as data."""

from __future__ import annotations

from hvolab.invariants import Finding, Invariant
from hvolab.serialize import as_data

RULE = Invariant(99, "made_up", history=lambda _machine, _report: {})


def test_the_name_in_words() -> None:
    assert RULE.title == "made up"


def test_a_reporter_appends_findings_with_the_number_of_the_event() -> None:
    findings: list[Finding] = []
    report = RULE.reporter(findings, lambda: 7)
    report("it is wrong", "VA 0x1", declared=True)
    report("so is this")
    assert list(map(str, findings)) == [
        "invariant 99 (made_up): it is wrong; VA 0x1; declared; seen after event 7",
        "invariant 99 (made_up): so is this; seen after event 7",
    ]


def test_a_finding_with_a_key_replaces_the_one_with_that_key() -> None:
    findings: list[Finding] = []
    now = iter((3, 5, 8))
    report = RULE.reporter(findings, lambda: next(now))
    report("one is wrong", key="a")
    report("so is another", fault="It is known.")
    report("two are wrong", key="a")
    assert list(map(str, findings)) == [
        "invariant 99 (made_up): two are wrong; seen after event 3",
        "invariant 99 (made_up): so is another; known fault of the release: It is known.; seen after event 5",
    ]


def test_a_finding_at_rest_as_data() -> None:
    findings: list[Finding] = []
    RULE.reporter(findings)("it is wrong", "VA 0x1")
    assert as_data(findings[0]) == {
        "rule": "made_up",
        "number": 99,
        "what": "it is wrong",
        "where": "VA 0x1",
        "declared": False,
        "fault": "",
    }
    assert str(findings[0]) == "invariant 99 (made_up): it is wrong; VA 0x1"
