# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that allocate with other masks, or on another node."""

from __future__ import annotations

import pytest

from hvolab.machine import MachineSpec
from hvolab.release.gfp import Gfp
from tests.core.invariants.mutants import SMALL, broken, grown, pools, watched
from tests.machines import MIB


def test_a_head_page_or_table_with_another_mask_breaks_rule_19(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    allocate = lab.machine.alloc_pages
    monkeypatch.setattr(
        lab.machine, "alloc_pages", lambda gfp, order, node=None: allocate(gfp ^ (0 if order else Gfp.IO), order, node)
    )
    findings = watched(lab, lambda: grown(lab, 1))
    assert broken(findings) == {"allocations", "counters"}  # which pages are tables is read from the masks
    assert any("to optimize" in finding.what and "folio PFN" in finding.where for finding in findings)


def test_restored_pages_with_another_mask_break_rule_19(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab, 1)
    allocate = lab.machine.alloc_pages_run
    monkeypatch.setattr(lab.machine, "alloc_pages_run", lambda count, gfp, node: allocate(count, gfp ^ Gfp.IO, node))
    findings = watched(lab, lambda: lab.pools[0].set_max_huge_pages(0))
    assert broken(findings) == {"allocations"}
    assert "to restore" in findings[0].what


def test_pages_of_another_node_break_rule_19(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(MachineSpec(memory=1024 * MIB, nodes=2))
    grown(lab, 1)
    allocate = lab.machine.alloc_pages_run
    monkeypatch.setattr(lab.machine, "alloc_pages_run", lambda count, gfp, node: allocate(count, gfp, 1 - node))
    findings = watched(lab, lambda: lab.pools[0].set_max_huge_pages(0))
    assert broken(findings) == {"allocations"}
    assert "on node 1 to restore a folio of node 0" in findings[0].what


def test_pages_of_any_node_break_rule_19(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(MachineSpec(memory=1024 * MIB, nodes=2))
    allocate = lab.machine.alloc_pages
    monkeypatch.setattr(
        lab.machine, "alloc_pages", lambda gfp, order, node=None: allocate(gfp, order, node if order else None)
    )
    findings = watched(lab, lambda: grown(lab, 1))
    assert broken(findings) == {"allocations"}
    assert "on node None to optimize a folio of node 0" in findings[0].what
