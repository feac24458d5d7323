# SPDX-License-Identifier: GPL-2.0-only
"""Tables and sections about the invariants, from their registry."""

from __future__ import annotations

import inspect

from hvolab.invariants import INVARIANTS, Invariant
from hvolab.release import RELEASES

from .markdown import plain, table


def rules() -> str:
    """Every invariant: number, name, sentence, and the kernel releases that it applies to."""
    return table(("number", "name", "rule", "releases"), [_row(invariant) for invariant in INVARIANTS])


def _row(invariant: Invariant) -> tuple[str, str, str, str]:
    number = invariant.number
    link = f"[{number}](#{number}-{invariant.name.replace('_', '-')})"
    names = [release.name for release in RELEASES if invariant.applies_to(release.variant)]
    variants = "all" if len(names) == len(RELEASES) else ", ".join(names)
    return link, invariant.title, plain(description(invariant)[0]), variants


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
