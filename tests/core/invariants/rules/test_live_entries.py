"""Mutants that break the invariant: live entries."""

from __future__ import annotations

from dataclasses import replace

from hvolab.arch import LiveEntryRule
from tests.core.invariants.mutants import SMALL, grown, pools, watched
from tests.machines import x86_64


def test_replacing_live_entries_where_that_is_forbidden_breaks_rule_12() -> None:
    target = x86_64()
    traits = replace(target.architecture.traits, live_entries=LiveEntryRule.BREAK_BEFORE_MAKE)
    strict = replace(target.architecture, traits=traits).select()
    lab = pools(SMALL, strict)
    findings = watched(lab, lambda: grown(lab, 1))
    live = [finding for finding in findings if finding.rule == "live_entries"]
    assert live
    assert all(finding.declared for finding in live)
    assert "made invalid and flushed first" in live[0].what
