# SPDX-License-Identifier: GPL-2.0-only
"""Serialization of results for JSON: one function for every dataclass that a command prints."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Final, get_args, get_type_hints

_HEX: Final = "hex"
#: An address, PFN or entry: an integer that JSON has as a string of hex, as people and the kernel write it.
Hex = Annotated[int, _HEX]


def as_data(value: Any) -> Any:
    """Return `value` as plain data: dictionaries, lists, strings, numbers, booleans and None.

    A dataclass becomes a dictionary: its public fields, then the properties that its class attribute `also_in_data`
    names. A field annotated :data:`Hex`, or `Hex | None`, becomes a string of hex; a tuple of them, a list of strings.
    A field whose metadata has `data` takes that name, and is left out if that is None. An enumeration becomes its name
    in lower case.
    """
    if is_dataclass(value) and not isinstance(value, type):
        data = {
            name: _field(getattr(value, field), hexadecimal=hexadecimal)
            for field, name, hexadecimal in _plan(type(value))
        }
        also = getattr(value, "also_in_data", ())
        return data | {name: as_data(getattr(value, name)) for name in also}
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, Mapping):
        return {str(key): as_data(each) for key, each in value.items()}
    if isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, (str, bytes)):
        return [as_data(each) for each in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    item = getattr(value, "item", None)  # a scalar of numpy
    return str(value) if item is None else item()


def _field(value: Any, *, hexadecimal: bool) -> Any:
    if hexadecimal and isinstance(value, tuple):
        return [f"{each:#x}" for each in value]
    return f"{value:#x}" if hexadecimal and value is not None else as_data(value)


def data_fields(kind: type) -> tuple[tuple[str, str], ...]:
    """Return attribute and name in the data of each public field of a dataclass."""
    return tuple((attribute, name) for attribute, name, _ in _plan(kind))


@cache
def _plan(kind: type) -> tuple[tuple[str, str, bool], ...]:
    """Return attribute, name in the data and whether it is hex, for each public field of a dataclass."""
    hints = get_type_hints(kind, include_extras=True)
    plan = []
    for field in fields(kind):
        name = field.metadata.get("data", field.name)
        if name is not None and not field.name.startswith("_"):
            plan.append((field.name, name, _is_hex(hints[field.name])))
    return tuple(plan)


def _is_hex(hint: Any) -> bool:
    """Return whether an annotation is `Hex`, or a union that has it."""
    return _HEX in getattr(hint, "__metadata__", ()) or any(_is_hex(part) for part in get_args(hint))
