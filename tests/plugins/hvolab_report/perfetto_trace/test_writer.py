# SPDX-License-Identifier: GPL-2.0-only
"""The trace without its library."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_report.perfetto_trace.writer import PerfettoWriter, write_perfetto
from tests.plugins.hvolab_report.runs import data


def test_a_missing_library_is_named_before_anything_is_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "perfetto", None)
    with pytest.raises(UsageError, match=r"the trace for ui\.perfetto\.dev needs perfetto"):
        PerfettoWriter()
    with pytest.raises(UsageError, match="needs perfetto"):
        write_perfetto(tmp_path / "none", data())
