"""The table of the invariants, from their rules."""

from __future__ import annotations

from hvolab.invariants import Rule

from .markdown import plain, table


def name_of(rule: Rule) -> str:
    """The rule's name as reports print it."""
    return rule.name.lower().replace("_", " ")


def rules() -> str:
    """The twelve rules: number, name and sentence."""
    return table(
        ("number", "name", "rule"),
        [(f"[{rule.value}](#{rule.value}-{slug(rule)})", name_of(rule), plain(rule.text)) for rule in Rule],
    )


def slug(rule: Rule) -> str:
    """The rule's name in the address of its section."""
    return rule.name.lower().replace("_", "-")
