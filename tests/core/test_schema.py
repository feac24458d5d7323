# SPDX-License-Identifier: GPL-2.0-only
"""Schema of results: what `as_data` makes of a dataclass fits it, and anything else does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from hvolab.schema import schema_of
from hvolab.serialize import as_data
from tests.results import Inner, Outer
from tests.schemas import faults


def test_what_as_data_makes_fits() -> None:
    schema = schema_of(Outer)
    assert list(schema["properties"]) == ["size", "inner", "color", "state", "counts", "other", "doubled"]
    assert faults(schema, as_data(Outer(1, (Inner(16), Inner(16, 3, (1, 2))), counts={"a": 1}))) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"size": "1"}, "$.size"),
        ({"size": True}, "$.size"),
        ({"inner": [{"va": 16, "pfn": None, "more": []}]}, "$.inner[0].va"),
        ({"inner": [{"va": "0x10", "pfn": None, "more": [16]}]}, "$.inner[0].more[0]"),
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
