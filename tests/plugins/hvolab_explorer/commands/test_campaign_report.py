# SPDX-License-Identifier: GPL-2.0-only
"""Report of a campaign."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_explorer.commands.campaign_report import show, write
from hvolab_explorer.runs.campaign import Campaign
from tests.plugins.hvolab_explorer.runs.test_units import unit
from tests.schemas import fitting

RACE = "allocate A, taker-6.11 A.64"


def test_a_report_has_numbers_reasons_findings_and_assumptions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = Campaign([unit(RACE), unit(RACE, release="7.2"), unit("optimize A")])
    campaign.run(None)
    write(campaign.results(), 5, tmp_path)
    text = (tmp_path / "report.txt").read_text()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "3 of 5 configurations on targets explored, 1 different findings"
    assert "optimize A 1 1 1 1 0" in lines
    assert f"{RACE} is not complete: release 7.2 has no fake heads (x86_64 7.2)" in lines
    assert "on x86_64 6.12" in lines
    assert any(line.startswith("schedule on x86_64 6.12: ") for line in lines)
    assert "CPU0: allocate A CPU1: taker-6.11 A.64" in lines
    assert any(line.startswith("- accesses are sequentially consistent") for line in lines)
    show(campaign.results(), 5, tmp_path, json=False)
    assert capsys.readouterr().out.startswith(text)
    data = fitting("explore", (tmp_path / "report.json").read_text())
    assert [one["classes"] for one in data["configurations"]] == [len(campaign.results()[0].result.classes), 1]
