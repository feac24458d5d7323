# SPDX-License-Identifier: GPL-2.0-only
"""How a right description is made wrong in one place: replacements inside frozen data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hvolab.arch import (
    Architecture,
    EntryForm,
    EntryKind,
    FieldValues,
    Level,
    PagingMode,
    PgprotRole,
)


def only(architecture: Architecture, *names: str) -> Architecture:
    """The architecture with these modes alone, and what is known of them."""
    features = tuple(
        replace(
            feature,
            modes=tuple(name for name in feature.modes if name in names),
            geometry=tuple(pair for pair in feature.geometry if pair[0] in names),
        )
        for feature in architecture.features
        if not feature.modes or set(feature.modes) & set(names)
    )
    return replace(
        architecture,
        modes=tuple(architecture.mode(name) for name in names),
        features=features,
        examples=tuple(known for known in architecture.examples if known.mode in names),
        figures=tuple(known for known in architecture.figures if known.mode in names),
    )


def with_modes(architecture: Architecture, change: Callable[[PagingMode], PagingMode]) -> Architecture:
    """With every mode changed."""
    return replace(architecture, modes=tuple(map(change, architecture.modes)))


def in_mode(architecture: Architecture, **changes: Any) -> Architecture:
    """With attributes of every mode replaced."""
    return with_modes(architecture, lambda mode: replace(mode, **changes))


def at_levels(architecture: Architecture, change: Callable[[Level], Level]) -> Architecture:
    """With every level of every mode changed."""
    return with_modes(architecture, lambda mode: replace(mode, levels=tuple(map(change, mode.levels))))


def in_forms(
    architecture: Architecture, change: Callable[[EntryForm], EntryForm | None], kind: EntryKind, level: str
) -> Architecture:
    """With the forms of ``kind`` at ``level`` changed, or left out where there is ``None``."""

    def changed(form: EntryForm) -> list[EntryForm]:
        if form.kind is not kind or level not in form.levels:
            return [form]
        made = change(form)
        return [] if made is None else [made]

    def mode(mode: PagingMode) -> PagingMode:
        forms = tuple(new for form in mode.format.forms for new in changed(form))
        return replace(mode, format=replace(mode.format, forms=forms))

    return with_modes(architecture, mode)


def in_every_form(architecture: Architecture, change: Callable[[EntryForm], EntryForm]) -> Architecture:
    """With every form of every mode changed."""
    return with_modes(
        architecture,
        lambda mode: replace(mode, format=replace(mode.format, forms=tuple(map(change, mode.format.forms)))),
    )


def in_pgprots(
    architecture: Architecture, role: PgprotRole, *, drop: tuple[str, ...] = (), add: FieldValues = ()
) -> Architecture:
    """With fields of every protection of ``role`` dropped or added."""

    def fields(old: FieldValues) -> FieldValues:
        return tuple(pair for pair in old if pair[0] not in drop) + add

    return replace(
        architecture,
        pgprots=tuple(
            replace(pgprot, fields=fields(pgprot.fields)) if pgprot.role is role else pgprot
            for pgprot in architecture.pgprots
        ),
    )


def in_mmu(architecture: Architecture, **changes: Any) -> Architecture:
    """With rules of the MMU replaced."""
    return replace(architecture, mmu=replace(architecture.mmu, **changes))


def in_traits(architecture: Architecture, **changes: Any) -> Architecture:
    """With traits replaced."""
    return replace(architecture, traits=replace(architecture.traits, **changes))


def in_feature(architecture: Architecture, name: str, **changes: Any) -> Architecture:
    """With attributes of one feature replaced."""
    return replace(
        architecture,
        features=tuple(
            replace(feature, **changes) if feature.name == name else feature for feature in architecture.features
        ),
    )


def fields_moved(form: EntryForm, places: dict[str, int]) -> EntryForm:
    """``form`` with the lowest bits of these fields elsewhere."""
    return replace(form, fields=tuple(replace(field, low=places.get(field.name, field.low)) for field in form.fields))


def renamed(form: EntryForm, old: str, new: str) -> EntryForm:
    """``form`` with another name for a field."""
    return replace(
        form, fields=tuple(replace(field, name=new) if field.name == old else field for field in form.fields)
    )
