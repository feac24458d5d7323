# SPDX-License-Identifier: GPL-2.0-only
"""Schema of results: what `as_data` makes of a dataclass fits it, and anything else does not."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest

from hvolab.schema import schema_of
from hvolab.serialize import Hex, as_data
from tests.schemas import faults


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
    state: Literal["on", "off"] = "on"
    counts: Mapping[str, int] = field(default_factory=dict)
    renamed: float = field(default=3.5, metadata={"data": "other"})
    hidden: int = field(default=4, metadata={"data": None})

    @property
    def doubled(self) -> int:
        return 2 * self.size


def test_what_as_data_makes_fits() -> None:
    schema = schema_of(Outer)
    assert list(schema["properties"]) == ["size", "inner", "color", "state", "counts", "other", "doubled"]
    assert faults(schema, as_data(Outer(1, (Inner(16), Inner(16, 3)), counts={"a": 1}))) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"size": "1"}, "$.size"),
        ({"size": True}, "$.size"),
        ({"inner": [{"va": 16, "pfn": None}]}, "$.inner[0].va"),
        ({"inner": [{"va": "0x10"}]}, "$.inner[0]"),
        ({"color": "blue"}, "$.color"),
        ({"state": "between"}, "$.state"),
        ({"counts": {"a": "b"}}, "$.counts.a"),
        ({"more": 1}, "$"),
    ],
)
def test_other_data_do_not_fit(change: dict[str, Any], place: str) -> None:
    data = as_data(Outer(1, (Inner(16),)))
    assert [fault.partition(":")[0] for fault in faults(schema_of(Outer), {**data, **change})] == [place]


def test_an_annotation_without_json_is_refused() -> None:
    @dataclass
    class Odd:
        content: bytes

    with pytest.raises(TypeError, match="has no JSON"):
        schema_of(Odd)
