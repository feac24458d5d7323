"""Overrides: attributes of a part of the description that a feature, a release or a CPU mode replaces."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hvolab.errors import DescriptionError

#: (attribute, its new value), as pairs, so that descriptions stay frozen and hashable.
Overrides = tuple[tuple[str, Any], ...]

_Part = TypeVar("_Part")


def overridden(part: _Part, overrides: Overrides) -> _Part:
    """Return a copy of a frozen dataclass with some attributes replaced."""
    return replace(part, **dict(overrides))  # type: ignore[type-var]


def check_overrides(kind: Any, overrides: Overrides, where: str) -> None:
    """Raise DescriptionError for an override that is not a field of the dataclass ``kind``, or not of its type."""
    types: dict[str, Any] = _types(kind)
    for name, value in overrides:
        check_name(f"field of {kind.__name__}", name, types, where)
        _check_type(f"{kind.__name__}.{name}", value, types[name], where)


def check_types(part: Any, where: str) -> None:
    """Raise DescriptionError for a field of a dataclass whose value is not of the declared type."""
    kind: Any = type(part)
    for name, declared in _types(kind).items():
        _check_type(f"{kind.__name__}.{name}", getattr(part, name), declared, where)


@cache
def _types(kind: Any) -> dict[str, Any]:
    """Return the declared type of each field of a dataclass."""
    types = get_type_hints(kind)
    return {field.name: types[field.name] for field in fields(kind)}


def check_name(title: str, name: object, known: Iterable[str], where: str) -> None:
    """Raise DescriptionError, with the nearest name, for a name that is not one of ``known``."""
    known = list(known)
    if name in known:
        return
    near = difflib.get_close_matches(str(name), known, n=1)
    raise DescriptionError(
        f"{name!r} is not a {title}",
        where=where,
        hint=f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known) or 'none'}",
    )


def _check_type(title: str, value: object, declared: Any, where: str) -> None:
    if not _fits(value, declared):
        kind = getattr(declared, "__name__", "") if isinstance(declared, type) else ""
        raise DescriptionError(
            f"{title} is {value!r} ({type(value).__name__})", where=where, hint=f"give {kind or declared}"
        )


def _fits(value: object, declared: Any) -> bool:
    """Return whether ``value`` is of a declared type: a class, a union, a tuple or a callable of those."""
    origin, arguments = get_origin(declared), get_args(declared)
    if declared is Any:
        return True
    if origin in {Union, UnionType}:
        return any(_fits(value, each) for each in arguments)
    if origin is Callable:
        return callable(value)
    if origin is not tuple:
        return isinstance(value, declared) and not (declared is int and isinstance(value, bool))
    if not isinstance(value, tuple):
        return False
    types = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
    return len(value) == len(types) and all(map(_fits, value, types))
