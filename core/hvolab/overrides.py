# SPDX-License-Identifier: GPL-2.0-only
"""Overrides: attributes of a part of the description that a feature, a release or a CPU mode replaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import cache
from types import UnionType
from typing import Any, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from hvolab.errors import DescriptionError, UsageError, choice_hint

#: (attribute, its new value), as pairs, so that descriptions stay frozen and hashable.
Overrides = tuple[tuple[str, Any], ...]

_Part = TypeVar("_Part")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_NamedPart = TypeVar("_NamedPart", bound=_Named)


def named(parts: tuple[_NamedPart, ...], name: str, missing: str) -> _NamedPart:
    """Return the part of that name; raises UsageError with the text ``missing`` and the names that exist."""
    for part in parts:
        if part.name == name:
            return part
    raise UsageError(missing, hint=choice_hint(name, (part.name for part in parts)))


def overridden(part: _Part, overrides: Overrides) -> _Part:
    """Return a copy of a frozen dataclass with some attributes replaced."""
    return replace(part, **dict(overrides))  # type: ignore[type-var]


def check_overrides(kind: Any, overrides: Overrides, where: str) -> None:
    """Raise DescriptionError for an override that is not a field of the dataclass ``kind``, or not of its type."""
    names, types = [field.name for field in fields(kind)], _types(kind)
    for name, value in overrides:
        check_name(f"field of {kind.__name__}", name, names, where)
        declared = types[name]
        if not _fits(value, declared):
            wanted = (getattr(declared, "__name__", "") if isinstance(declared, type) else "") or declared
            what = f"{kind.__name__}.{name} is {value!r} ({type(value).__name__})"
            raise DescriptionError(what, where=where, hint=f"give {wanted}")


def check_types(part: Any, where: str) -> None:
    """Raise DescriptionError for a field of a dataclass whose value is not of the declared type."""
    check_overrides(type(part), tuple((field.name, getattr(part, field.name)) for field in fields(part)), where)


def check_change(part: Any, where: str, **kinds: type) -> None:
    """Check the types of a dataclass, and its overrides: for each attribute, those of that other dataclass."""
    check_types(part, where)
    for name, kind in kinds.items():
        check_overrides(kind, getattr(part, name), where)


_types: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


def check_name(title: str, name: object, known: Iterable[str], where: str) -> None:
    """Raise DescriptionError, with the nearest name, for a name that is not one of ``known``."""
    known = list(known)
    if name in known:
        return
    raise DescriptionError(f"{name!r} is not a {title}", where=where, hint=choice_hint(str(name), known))


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
