# SPDX-License-Identifier: GPL-2.0-only
"""Reading of saved steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_report.timeline.page import page_of
from hvolab_report.timeline.read import read_data
from hvolab_report.timeline.writer import compact
from tests.plugins.hvolab_report.runs import data


def test_steps_are_read_from_their_file_and_from_a_page(tmp_path: Path) -> None:
    wanted = json.loads(compact(data()))
    for name, text in (("steps.json", compact(data())), ("page.html", page_of(data()))):
        (tmp_path / name).write_text(text, "utf-8")
        assert read_data(tmp_path / name) == wanted


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff\xfe", "is not text"),
        (b"{", "is neither JSON nor a timeline"),
        (b"[]", "has no steps"),
        (b'{"schema":"hvolab-timeline","version":99}', "has version 99"),
    ],
)
def test_a_file_without_steps_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError, match=what):
        read_data(tmp_path / "file")
    with pytest.raises(UsageError, match="cannot read"):
        read_data(tmp_path / "none")
