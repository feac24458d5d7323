# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of accesses on two CPUs: what it reports of one that walks in another way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import Target, WalkLimit
from hvolab.conformance.mmu.compare import AccessComparison, compare_walks
from hvolab.conformance.mmu.enumerate import cases
from hvolab.conformance.mmu.lab import lay_out
from hvolab.machine import ModelCpu, PageTables
from hvolab.plugin import registry
from tests.core.conformance.mmu.targets import DEFAULTS, EMULATED, target_of
from tests.samples import one_in


def against(target: Target, other: Target, *limits: WalkLimit) -> AccessComparison:
    """The model for ``target``, and a CPU that walks as ``other`` has it."""
    lab = lay_out(target)
    tables = PageTables(lab.machine.memory, other, lab.machine.tables.root)
    cpu = ModelCpu(0, lab.machine.memory, tables, lab.machine.trace)
    return compare_walks(lab, cpu, cases(lab, every_bit=False), limits)


@pytest.mark.parametrize("architecture", DEFAULTS)
def test_the_model_agrees_with_itself(architecture: str) -> None:
    target = target_of(architecture)
    found = against(target, target)
    assert found.cases > 100
    assert 0 < found.faults < found.cases
    assert (found.mismatches, found.explained) == ([], {})


@pytest.mark.parametrize("architecture", DEFAULTS)
def test_a_cpu_whose_writes_need_no_permission_is_told_of(architecture: str) -> None:
    target = target_of(architecture)
    lax = replace(target, mmu=replace(target.mmu, write=target.mmu.read))
    found = against(target, lax)
    assert found.mismatches
    assert {mismatch.access.name for mismatch in found.mismatches} <= {"WRITE", "ATOMIC"}
    assert "expected faults" in str(found.mismatches[0])


@pytest.mark.parametrize("architecture", DEFAULTS)
def test_a_declared_limit_explains_what_it_foretells_and_nothing_else(architecture: str) -> None:
    target = target_of(architecture)
    limit = WalkLimit("writes need no permission", mmu=(("write", target.mmu.read),))
    lax = limit.applied(target)
    explained = against(target, lax, limit)
    assert explained.mismatches == []
    assert sum(explained.explained.values()) == len(against(target, lax).mismatches)
    other = replace(lax, mmu=replace(lax.mmu, execute=target.mmu.read))
    assert against(target, other, limit).mismatches


@pytest.mark.slow
@pytest.mark.parametrize("architecture", DEFAULTS)
def test_each_declared_limit_of_the_emulator_shows(architecture: str) -> None:
    pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
    target = target_of(architecture)
    part = target.architecture.emulation
    make = registry().cpu("emulated")
    assert part is not None
    assert make is not None
    lab = lay_out(target)
    found = compare_walks(lab, make(lab.machine, 0), cases(lab), part.walk_limits(target))
    assert found.mismatches == []
    shown = "; ".join(found.explained)
    assert [limit.reason for limit in part.walk_limits(target) if limit.reason not in shown] == []


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "mode"), one_in(4, EMULATED, "-".join))
def test_every_bit_in_every_cpu_mode_comes_out_as_foretold(architecture: str, mode: str) -> None:
    pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
    target = target_of(architecture, mode)
    part = target.architecture.emulation
    make = registry().cpu("emulated")
    assert part is not None
    assert make is not None
    for cpu_mode in part.cpu_modes:
        lab = lay_out(target.in_cpu_mode(cpu_mode))
        found = compare_walks(lab, make(lab.machine, 0), cases(lab), part.walk_limits(target))
        assert (found.mismatches, found.cases > 1000) == ([], True)
