# SPDX-License-Identifier: GPL-2.0-only
"""A page-table entry from the words of a command line: a number to decode, or names to encode."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import TypeVar

from hvolab.arch import EntryKind, PgprotRole, Target
from hvolab.errors import EncodingError, HvolabError, UsageError, choice_hint

_NUMBER = re.compile("0x[0-9a-f]{1,32}|[0-9]{1,32}", re.ASCII | re.IGNORECASE)
#: Protections that an architecture may declare, by the names that they have on every one.
_EVERYWHERE = frozenset(role.value for role in PgprotRole)
_Result = TypeVar("_Result")


def entry_of(target: Target, level: str, words: list[str], pfn: str | None) -> int:
    """Return the entry of a single number, or the entry that names and a PFN encode."""
    if not words:
        raise UsageError("no entry is given", hint="hvolab pte ENTRY, or --bytes, or names to encode: PAGE_KERNEL")
    if not _NUMBER.fullmatch(words[0]):
        return encode(target, level, 0 if pfn is None else _number(pfn), words)
    if pfn is not None or len(words) > 1:
        what = f"{words[0]} is a number, and so an entry to decode, but it is not alone"
        raise UsageError(what, hint="decode one entry at a time, without --pfn; or encode from names alone")
    return _number(words[0])


def entry_from_bytes(target: Target, text: str) -> int:
    """Return the entry whose bytes in memory are given in hex, in the byte order of the architecture's entries."""
    size, order = target.mode.format.entry_bits // 8, target.entry_byte_order
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        what = f"{text!r} is not the {size} bytes of an entry of {target.architecture.name}"
        raise UsageError(what, hint="write each byte with two hex digits, the byte at the lowest address first")
    return int.from_bytes(found, order)


def encode(target: Target, level: str, pfn: int, words: list[str]) -> int:
    """Return the entry at ``level`` for ``pfn`` with the protections and fields in ``words``; a later word overrides.

    Raises UsageError for an unknown name, EncodingError for values that the format cannot hold.
    """
    roles: dict[str, PgprotRole] = {}
    for role, pgprot in target.pgprots:  # one name may serve several roles, with the same bits
        roles.setdefault(pgprot.name, role)
    for role, _ in target.pgprots:
        roles.setdefault(role.value, role)
    for word in words:
        if word not in roles and word in _EVERYWHERE:
            known = ", ".join(dict.fromkeys(pgprot.name for _, pgprot in target.pgprots))
            raise UsageError(f"{target.architecture.name} declares no {word}", hint=f"it declares {known}")
    kind = _kind(target, level, {roles[word] for word in words if word in roles})
    named = [word.partition("=") for word in words if word not in roles]
    form = target.mode.format.form(level, kind, (name for name, _, _ in named))
    chosen: dict[str, int] = {}
    for word in words:
        if word in roles:
            bits = target.bits_of(form, roles[word])
            chosen |= {field.name: field.get(bits) for field in form.fields}
            continue
        name, equals, value = word.partition("=")
        if name not in form.by_name:
            raise _unknown(name, kind, level, [*form.by_name, *roles])
        chosen[name] = _number(value) if equals else 1
    return target.mode.format.encode(level, kind, pfn, tuple(chosen.items()), target.mode.page_shift)


def with_feature_hint(target: Target, action: Callable[[Target], _Result]) -> _Result:
    """Return what ``action`` makes of a target; if it raises, add the features with which it would not to the hint."""
    try:
        return action(target)
    except (EncodingError, UsageError) as error:
        features = _features_for(target, action)
        if not features:
            raise
        hint = "; ".join(filter(None, (f"add --feature {features}, with which it is legal", error.hint)))
        raise type(error)(error.what, where=error.where, rule=error.rule, hint=hint) from error


def _features_for(target: Target, action: Callable[[Target], object]) -> str:
    """Return the fewest features with which ``action`` does not raise, one or two, alternatives separated by `or`."""
    others = [feature.name for feature in target.architecture.features if feature.name not in target.features]
    select = partial(target.architecture.select, target.mode.name, profile=target.profile, release=target.release)
    for count in (1, 2):
        found = []
        for names in combinations(others, count):
            try:
                action(select(features=(*target.features, *names)))
            except HvolabError:
                continue
            found.append(",".join(names))
        if found:
            return " or ".join(found)
    return ""


def _kind(target: Target, level: str, roles: set[PgprotRole]) -> EntryKind:
    """Return TABLE for a table's protection, or if the level has nothing else; otherwise LEAF."""
    has_leaf = target.mode.format.leaf_form(level) is not None
    return EntryKind.LEAF if has_leaf and PgprotRole.TABLE not in roles else EntryKind.TABLE


def _unknown(name: str, kind: EntryKind, level: str, known: list[str]) -> UsageError:
    what = f"{name!r} is not an entry, protection or field of a {kind.value} at {level}"
    return UsageError(what, hint=f"{choice_hint(name, known)}; a hex number needs its 0x")


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{text!r} is not a number", hint="write it in decimal, or in hex with 0x")
    return int(text, 0) if text[:2].lower() == "0x" else int(text)
