"""Accesses through every combination of entries: what is tried, and what comes of a CPU that walks otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import EntryKind, Target, WalkLimit
from hvolab.conformance.mmu import AccessComparison, cases, compare_walks
from hvolab.conformance.mmu.enumerate import ACCESSES
from hvolab.conformance.mmu.lab import lay_out
from hvolab.machine import ModelCpu, PageTables
from hvolab.plugin import registry

DEFAULTS = ("x86_64", "arm64", "riscv")
EMULATED = [
    pytest.param(architecture.name, mode.name, id=f"{architecture.name}-{mode.name}")
    for architecture in registry().architectures().values()
    if architecture.emulation is not None and architecture.name in DEFAULTS
    for mode in architecture.modes
    if not architecture.emulation.refusal(architecture.select(mode.name))
]


def target_of(architecture: str, mode: str | None = None) -> Target:
    return registry().architecture(architecture).select(mode)


def against(target: Target, other: Target, *limits: WalkLimit) -> AccessComparison:
    """The model for ``target``, and a CPU that walks as ``other`` has it."""
    lab = lay_out(target)
    tables = PageTables(lab.machine.memory, other, lab.machine.tables.root)
    cpu = ModelCpu(0, lab.machine.memory, tables, lab.machine.trace)
    return compare_walks(lab, cpu, cases(lab, every_bit=False), limits)


def test_more_than_a_hundred_thousand_accesses_are_tried() -> None:
    total = 0
    for name in DEFAULTS:
        architecture = registry().architecture(name)
        assert architecture.emulation is not None
        for mode in architecture.modes:
            target = architecture.select(mode.name)
            if not architecture.emulation.refusal(target):
                total += len(ACCESSES) * sum(1 for _ in cases(lay_out(target)))
    assert total > 100_000


@pytest.mark.parametrize(("architecture", "mode"), EMULATED)
def test_a_leaf_of_every_level_leads_to_the_same_word(architecture: str, mode: str) -> None:
    target = target_of(architecture, mode)
    lab = lay_out(target)
    for depth, level in enumerate(target.mode.levels):
        if target.mode.format.leaf_form(level.name) is None:
            continue
        form = target.mode.format.form(level.name, EntryKind.LEAF)
        assert form.get_address(lab.leaf_address(depth)) | lab.va & (level.size - 1) == lab.pa


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
@pytest.mark.parametrize(("architecture", "mode"), EMULATED)
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
