# SPDX-License-Identifier: GPL-2.0-only
"""Files of a recording."""

from __future__ import annotations

import json
from pathlib import Path

from hvolab_report.timeline.fold import unfold
from hvolab_report.timeline.writer import compact
from tests.plugins.hvolab_report.runs import data, recorded


def test_the_steps_are_written_as_json(tmp_path: Path) -> None:
    file = tmp_path / "steps.json"
    recorded().write(file)
    assert json.loads(file.read_text("utf-8")) == json.loads(compact(data()))
    assert sum(1 for _ in unfold(data()["voices"][0]["rows"])) > data()["voices"][0]["steps"]
