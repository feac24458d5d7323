# SPDX-License-Identifier: GPL-2.0-only
"""Serialization for JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hvolab.serialize import as_data
from tests.results import Inner, Outer


def test_a_dataclass_becomes_its_fields_and_the_named_properties() -> None:
    assert as_data(Outer(2, (Inner(0x1000), Inner(16, 255, (1, 32))))) == {
        "size": 2,
        "inner": [{"va": "0x1000", "pfn": None, "more": []}, {"va": "0x10", "pfn": "0xff", "more": ["0x1", "0x20"]}],
        "color": "dark_red",
        "state": "on",
        "counts": {},
        "other": 3.5,
        "doubled": 4,
    }


def test_everything_becomes_what_json_knows() -> None:
    value = {1: np.int64(7), "set": frozenset({3}), "path": Path("a/b"), "flag": np.bool_(True), "none": None, "x": 0.5}
    data = as_data(value)
    assert data == {"1": 7, "set": [3], "path": "a/b", "flag": True, "none": None, "x": 0.5}
    assert json.loads(json.dumps(data)) == data
