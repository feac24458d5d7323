# SPDX-License-Identifier: GPL-2.0-only
"""The engines of the page on broken engines: each ends in the finding that the page names first."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.cli.engine_file import engine_in_file
from hvolab.hvo import EngineSetup
from hvolab.machine import VmemmapBacking
from hvolab.scenario import ScenarioSpec, run_scenario
from tests.docs.desk import DOCS, listings
from tests.machines import MIB, x86_64

PAGE = DOCS / "broken-engine.md"
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| engine")
]


def test_there_are_ten() -> None:
    assert len(ROWS) == 10


@pytest.mark.parametrize(("name", "rule", "options"), ROWS, ids=[row[0] for row in ROWS])
def test_the_rule_that_the_page_names_notices_first(name: str, rule: str, options: str, tmp_path: Path) -> None:
    (listing,) = (each for each in listings(PAGE) if each.file == "my_engines.py")
    (tmp_path / listing.file).write_text(listing.text, encoding="utf-8")
    make = engine_in_file(f"{tmp_path / listing.file}:{name}")
    setup = EngineSetup(lambda machine: make(machine, None))
    backing = VmemmapBacking.BUDDY if "buddy" in options else VmemmapBacking.BOOT
    spec = ScenarioSpec(x86_64(), memory=256 * MIB, hugepages={2 * MIB: 2}, engine=setup, vmemmap=backing)
    result = run_scenario(spec)
    assert not result.as_declared
    first = next(finding for finding in result.findings if not finding.declared)
    assert first.rule == rule
    assert any("folio" in f"{finding}" for finding in result.findings)
