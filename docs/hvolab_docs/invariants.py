"""The page of the invariants, from their registry: a table, and a section for each."""

from __future__ import annotations

from hvolab.hvo.variants import VARIANTS
from hvolab.invariants import INVARIANTS, Invariant

from .markdown import plain, table


def rules() -> str:
    """Every invariant: number, name, sentence, and the variants of HVO that it applies to."""
    return table(("number", "name", "rule", "variants of HVO"), [_row(invariant) for invariant in INVARIANTS])


def _row(invariant: Invariant) -> tuple[str, str, str, str]:
    number = invariant.number
    link = f"[{number}](#{number}-{invariant.name.replace('_', '-')})"
    names = [variant.name for variant in VARIANTS if invariant.applies_to(variant)]
    variants = "all" if len(names) == len(VARIANTS) else ", ".join(names)
    return link, invariant.title, plain(invariant.sentence), variants


def sections() -> str:
    """A section for each invariant: state or history, sentence and details."""
    return "\n".join(
        f"## {each.number} {each.title.capitalize()}\n\n{each.kind.capitalize()}. {each.sentence}\n\n{each.details}\n"
        for each in INVARIANTS
    )
