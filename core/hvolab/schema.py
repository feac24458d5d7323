# SPDX-License-Identifier: GPL-2.0-only
"""JSON Schema of results: derived from the dataclasses that :func:`hvolab.serialize.as_data` turns into JSON."""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from hvolab.serialize import Hex, data_fields

#: The dialect of the schemas.
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_HEX: Final = {"type": "string", "pattern": "^-?0x[0-9a-f]+$"}
_PLAIN: Final = {
    str: "string",
    Path: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the schema of what `as_data` makes of a dataclass; other dataclasses in it are in `$defs`, by their names.

    kind  the dataclass, or a list of it as an annotation: `list[Difference]`
    Raises TypeError for an annotation that has no JSON.
    """
    definitions: dict[str, Any] = {}
    root = _schema(kind, definitions) if get_args(kind) else _object(kind, definitions)
    title = getattr(get_args(kind)[0] if get_args(kind) else kind, "__name__", "")
    return {"$schema": DIALECT, "title": title, **root, "$defs": dict(sorted(definitions.items()))}


def _object(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a dataclass, and add those of the dataclasses in it."""
    hints = get_type_hints(kind, include_extras=True)
    properties = {name: _schema(hints[field], definitions) for field, name in data_fields(kind)}
    for name in getattr(kind, "also_in_data", ()):
        getter = inspect.getattr_static(kind, name).fget
        properties[name] = _schema(get_type_hints(getter, include_extras=True)["return"], definitions)
    return {
        "type": "object",
        "description": inspect.getdoc(kind) or "",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an annotation."""
    if hint == Hex:
        return dict(_HEX)
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if get_args(hint):
        return _generic(hint, definitions)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.name.lower() for member in hint]}
    if isinstance(hint, type) and is_dataclass(hint):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}  # a dataclass may contain itself
            definitions[hint.__name__] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    raise TypeError(f"{hint} has no JSON")


def _generic(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a union, of literals, or of a collection."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return {"anyOf": [_schema(part, definitions) for part in parts]}
    if origin is Literal:
        return {"enum": list(parts)}
    if issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(parts[1], definitions)}
    return {"type": "array", "items": _schema(parts[0], definitions)}
