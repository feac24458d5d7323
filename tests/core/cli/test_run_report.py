# SPDX-License-Identifier: GPL-2.0-only
"""The report of `hvolab run` for people, from results that a command rarely has."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from hvolab.arch import LiveEntryRule
from hvolab.cli.run_report import render
from hvolab.hvo import EngineSetup, Hvo
from hvolab.invariants import Finding
from hvolab.invariants.rules.pool import POOL
from hvolab.scenario import ScenarioResult, ScenarioSpec, parse_operations, run_scenario
from hvolab_x86_64.description import X86_64

SPEC = ScenarioSpec(X86_64.select(), memory=256 << 20, hugepages={2 << 20: 1})


def shown(result: ScenarioResult, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(render(result, width))
    return stream.getvalue()


@pytest.fixture(scope="module")
def result() -> ScenarioResult:
    return run_scenario(SPEC)


def test_folios_that_could_not_be_restored_are_reported(result: ScenarioResult) -> None:
    [pool] = result.stages[1].pools
    stages = (*result.stages[:-1], replace(result.stages[-1], pools=(replace(pool, per_node=(1,)),)))
    assert "1 of 2 MiB stayed as free surplus pages" in shown(replace(result, stages=stages))


def test_a_finding_names_its_invariant_and_its_number(result: ScenarioResult) -> None:
    finding = Finding(POOL, "a folio is lost", "VA 0x1")
    text = " ".join(shown(replace(result, findings={finding: 3})).split())
    assert "finding invariant 7, pool: a folio is lost (3 times); first at VA 0x1" in text
    assert "1 finding not declared by the description." in text


@pytest.mark.parametrize(("declared", "word"), [(False, "restored broken "), (True, "restored broken as declared ")])
def test_a_stage_with_findings_names_whether_they_are_declared(
    result: ScenarioResult, declared: bool, word: str
) -> None:
    finding = Finding(POOL, "a folio is lost", declared=declared)
    stages = (*result.stages[:-1], replace(result.stages[-1], findings=(finding,)))
    assert word in f"{' '.join(shown(replace(result, stages=stages)).split())} "
    assert ("broken as declared" in shown(replace(result, stages=stages))) is declared


def test_warnings_are_counted_in_the_last_line(result: ScenarioResult) -> None:
    text = shown(replace(result, warnings=("something is amiss",)))
    assert text.rstrip().endswith("1 warning of the engine.")


def test_the_notes_of_an_engine_follow_the_heading() -> None:
    result = run_scenario(replace(SPEC, engine=EngineSetup(Hvo, notes=("taken for 6.12", "for a reason"))))
    assert shown(result).splitlines()[1:4] == ["taken for 6.12", "for a reason", ""]


@pytest.mark.parametrize("width", [80, 100])
def test_many_operations_fit(width: int) -> None:
    text = ", ".join(["optimize", *["resize 2M 2, resize 2M 1"] * 4, "shrink"])
    result = run_scenario(replace(SPEC, operations=parse_operations(text, SPEC.target)))
    lines = shown(result, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    assert any(line.startswith("10  shrink") for line in lines)


def test_a_kernel_that_hvo_is_not_for_is_named_in_the_last_line(result: ScenarioResult) -> None:
    traits = replace(SPEC.target.traits, live_entries=LiveEntryRule.MARK_INVALID)
    strict = replace(result, spec=replace(SPEC, target=replace(SPEC.target, traits=traits)))
    assert "HVO is not for this kernel; rule for a live entry: it must be marked invalid" in " ".join(
        shown(strict).split()
    )
    assert "not for this kernel" not in shown(result)
