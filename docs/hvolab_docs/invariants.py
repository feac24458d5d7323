# SPDX-License-Identifier: GPL-2.0-only
"""Tables and sections about the invariants, from their registry, and about the variants of HVO."""

from __future__ import annotations

import inspect
from dataclasses import Field, fields
from typing import Any

from hvolab.invariants import INVARIANTS, Invariant
from hvolab.release import RELEASES, HvoVariant

from .markdown import code, plain, table


def rules() -> str:
    """Every invariant: number, name, sentence, and the kernel releases that it applies to."""
    return table(("number", "name", "rule", "releases"), [_row(invariant) for invariant in INVARIANTS])


def _row(invariant: Invariant) -> tuple[str, str, str, str]:
    number = invariant.number
    link = f"[{number}](#{number}-{invariant.name.replace('_', '-')})"
    names = [release.name for release in RELEASES if invariant.applies_to(release.variant)]
    variants = "all" if len(names) == len(RELEASES) else ", ".join(names)
    return link, invariant.title, plain(description(invariant)[0]), variants


def variants() -> str:
    """Return the table of the variants of HVO: each fact with its meaning and its value in each."""
    rows = [
        (code(fact.name), plain(fact.metadata["meaning"]), *(_value(fact, each.variant) for each in RELEASES))
        for fact in fields(HvoVariant)
    ]
    return table(("fact", "meaning", *map(str, RELEASES)), rows)


def _value(fact: Field[Any], variant: HvoVariant) -> str:
    value = getattr(variant, fact.name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else code(fact.metadata["show"](value))


def sections() -> str:
    """A section for each invariant: state or history, sentence and details."""
    return "\n".join(map(_section, INVARIANTS))


def _section(invariant: Invariant) -> str:
    kinds = " and ".join(kind for kind in ("state", "history") if getattr(invariant, kind) is not None)
    sentence, details = description(invariant)
    return f"## {invariant.number} {invariant.title.capitalize()}\n\n{kinds.capitalize()}. {sentence}\n\n{details}\n"


def description(invariant: Invariant) -> tuple[str, str]:
    """Return the sentence and the details of an invariant."""
    sentence, _, details = (inspect.getdoc(invariant.state or invariant.history) or "").partition("\n\n")
    return sentence, details
