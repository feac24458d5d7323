# SPDX-License-Identifier: GPL-2.0-only
"""Serialization for JSON."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from hvolab.serialize import Hex, as_data


class Color(enum.Enum):
    DARK_RED = 1


@dataclass(frozen=True)
class Inner:
    va: Hex
    pfn: Hex | None = None


@dataclass(frozen=True)
class Outer:
    also_in_data: ClassVar[tuple[str, ...]] = ("doubled",)
    size: int
    inner: tuple[Inner, ...] = ()
    color: Color = Color.DARK_RED
    renamed: int = field(default=3, metadata={"data": "other"})
    hidden: int = field(default=4, metadata={"data": None})
    _private: int = 5

    @property
    def doubled(self) -> int:
        return 2 * self.size


def test_a_dataclass_becomes_its_fields_and_the_named_properties() -> None:
    assert as_data(Outer(2, (Inner(0x1000), Inner(16, 255)))) == {
        "size": 2,
        "inner": [{"va": "0x1000", "pfn": None}, {"va": "0x10", "pfn": "0xff"}],
        "color": "dark_red",
        "other": 3,
        "doubled": 4,
    }


def test_everything_becomes_what_json_knows() -> None:
    value = {1: np.int64(7), "set": frozenset({3}), "path": Path("a/b"), "flag": np.bool_(True), "none": None, "x": 0.5}
    data = as_data(value)
    assert data == {"1": 7, "set": [3], "path": "a/b", "flag": True, "none": None, "x": 0.5}
    assert json.loads(json.dumps(data)) == data
