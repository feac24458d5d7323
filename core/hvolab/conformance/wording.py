# SPDX-License-Identifier: GPL-2.0-only
"""Words of reports: the bits of entries on which a permission depends, with their fields."""

from __future__ import annotations

from collections.abc import Mapping

from hvolab.arch import EntryForm, EntryKind, Match, Permission, PgprotRole, Target


def wanted(form: EntryForm, pattern: Match, raw: int) -> str:
    """Return the bits in which ``raw`` differs from a pattern, with their fields, as set or not set."""
    differing = (raw ^ pattern.value) & pattern.mask
    clear = form.name_bits(differing & ~raw)
    extra = form.name_bits(differing & raw)
    return " and ".join(words for words in (clear and f"{clear} not set", extra and f"{extra} set") if words)


def refusing(
    target: Target, permission: Permission, leaf: tuple[str, PgprotRole, int], tables: Mapping[str, int]
) -> tuple[str, str]:
    """Return in words which entries of a walk refuse an access and by which bits, and the names of their pgprots.

    leaf    its level, its protection, and the entry
    tables  table entries above it, by level
    """
    level, role, raw = leaf
    form = target.mode.format.form
    walk = [
        ("the leaf", role, form(level, EntryKind.LEAF), one, raw) for one in (permission.leaf, permission.privilege)
    ]
    walk += [
        (f"the table entry at {name}", PgprotRole.TABLE, form(name, EntryKind.TABLE), permission.tables, table)
        for name, table in tables.items()
    ]
    found = [
        (f"{title} has {wanted(of, pattern, entry)}", dict(target.pgprots)[its].name)
        for title, its, of, pattern, entry in walk
        if pattern is not None and not pattern.accepts(entry)
    ]
    words = ", ".join(words for words, _ in found) or "no entry of the walk has the patterns that it needs"
    return words, " and ".join(dict.fromkeys(name for _, name in found)) or dict(target.pgprots)[role].name


def deciding(target: Target, permission: Permission) -> str:
    """Return the bits of a page at which a permission looks, with their fields."""
    patterns = (permission.leaf, permission.privilege)
    mask = sum(pattern.mask for pattern in patterns if pattern is not None)
    return target.page_form.name_bits(mask) or "no bit of a page"
