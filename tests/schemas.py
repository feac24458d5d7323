# SPDX-License-Identifier: GPL-2.0-only
"""Validation of data by a JSON Schema, as far as `hvolab.schema` writes one, and of output by the published ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parents[1] / "docs/static"

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}


@cache
def published(command: str) -> dict[str, Any]:
    """Return the published schema of a command's JSON."""
    schema: dict[str, Any] = json.loads((STATIC / f"{command}.schema.json").read_text("utf-8"))
    return schema


def fitting(command: str, output: str) -> Any:
    """Return the JSON that a command printed, after validating it by the published schema."""
    data = json.loads(output)
    assert faults(published(command), data) == []
    return data


def faults(schema: dict[str, Any], data: Any) -> list[str]:
    """Return where data do not fit a schema, and why."""
    return list(_faults(schema, schema["$defs"], data, "$"))


def _faults(schema: dict[str, Any], definitions: dict[str, Any], data: Any, place: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    if "anyOf" in schema:
        if all(list(_faults(one, definitions, data, place)) for one in schema["anyOf"]):
            yield f"{place}: none of the alternatives"
        return
    if "enum" in schema and data not in schema["enum"]:
        yield f"{place}: {data!r}"
    kind = schema.get("type")
    wanted = _TYPES.get(kind or "", (object,))
    if not isinstance(data, wanted) or (isinstance(data, bool) and kind in {"integer", "number"}):
        yield f"{place}: not {kind}"
    elif isinstance(data, dict):
        yield from _of_object(schema, definitions, data, place)
    elif isinstance(data, list):
        for index, each in enumerate(data):
            yield from _faults(schema["items"], definitions, each, f"{place}[{index}]")
    elif "pattern" in schema and not re.search(schema["pattern"], str(data)):
        yield f"{place}: {data!r}"


def _of_object(schema: dict[str, Any], definitions: dict[str, Any], data: dict[str, Any], place: str) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema["additionalProperties"]
    missing, more = [one for one in schema.get("required", ()) if one not in data], data.keys() - known.keys()
    if missing or (others is False and more):
        yield f"{place}: {missing} missing, {sorted(more)} unknown"
        return
    for name, each in data.items():
        yield from _faults(known.get(name, others), definitions, each, f"{place}.{name}")
