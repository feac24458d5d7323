# SPDX-License-Identifier: GPL-2.0-only
"""Data of a timeline fit their published schema."""

from __future__ import annotations

from hvolab.schema import schema_of
from hvolab_report.timeline.data import TimelineData
from tests.plugins.hvolab_report.runs import data
from tests.schemas import faults


def test_the_data_fit_the_schema() -> None:
    assert faults(schema_of(TimelineData), data()) == []
