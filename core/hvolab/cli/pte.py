"""`hvolab pte`: one page-table entry, decoded into its fields, or encoded from names."""

from __future__ import annotations

import difflib
import re
from typing import Annotated

import typer

from hvolab.arch import EntryKind, PgprotRole, Target
from hvolab.cli.entry_report import render
from hvolab.cli.entry_view import view_entry
from hvolab.cli.options import (
    ArchOption,
    FeatureOption,
    JsonOption,
    ModeOption,
    ProfileOption,
    ReleaseOption,
    select_target,
)
from hvolab.cli.output import print_json, show
from hvolab.errors import EncodingError, UsageError

_NUMBER = re.compile("0x[0-9a-f]{1,32}|[0-9]{1,32}", re.ASCII | re.IGNORECASE)


def pte(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="ENTRY|NAME",
            help="An entry to decode, in hex with 0x or in decimal. Or names to encode: a protection (PAGE_KERNEL_RO) "
            "and fields (RW, NX, PKEY=3; RW=0 takes away what a protection brought).",
        ),
    ],
    arch: ArchOption = None,
    mode: ModeOption = None,
    level: Annotated[
        str | None, typer.Option("--level", "-l", metavar="NAME", help="Level it stands at; by default the last.")
    ] = None,
    pfn: Annotated[
        str | None, typer.Option(metavar="PFN", help="Output PFN of an entry to encode; 0 by default.")
    ] = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    feature: FeatureOption = None,
    json: JsonOption = False,
) -> None:
    """Decode a page-table entry into its fields, or encode one from names.

    hvolab pte 0x80000000054e4161

    hvolab pte --pfn 0x54e4 PAGE_KERNEL RW=0
    """
    target = select_target(arch, mode, profile, release, feature)
    at = target.mode.last.name if level is None else target.mode.level(level).name
    if _NUMBER.fullmatch(words[0]):
        if pfn is not None or len(words) > 1:
            raise UsageError(
                f"{words[0]} is a number, and so an entry to decode; there is more beside it",
                hint="decode one entry at a time, without --pfn; or encode from names alone",
            )
        raw = _number(words[0])
    else:
        raw = encode(target, at, 0 if pfn is None else _number(pfn), words)
    view = view_entry(target, at, raw)
    if json:
        print_json(view.as_dict())
    else:
        show(render(view))


def encode(target: Target, level: str, pfn: int, words: list[str]) -> int:
    """The entry at ``level`` for ``pfn`` with the protections and fields in ``words``; a later word overrides.

    Raises UsageError for an unknown name, EncodingError for what the format cannot say.
    """
    roles: dict[str, PgprotRole] = {}
    for role, pgprot in target.pgprots:  # one name may serve several roles, with the same bits
        roles.setdefault(pgprot.name, role)
    for role in PgprotRole:
        roles.setdefault(role.value, role)
    kind = _kind(target, level, {roles[word] for word in words if word in roles})
    form = target.mode.format.form(level, kind)
    chosen: dict[str, int] = {}
    for word in words:
        if word in roles:
            bits = target.bits(level, roles[word])
            chosen |= {field.name: field.get(bits) for field in form.fields}
            continue
        name, equals, value = word.partition("=")
        if name not in form.by_name:
            raise _unknown(name, kind, level, [*form.by_name, *roles])
        chosen[name] = _number(value) if equals else 1
    return target.mode.format.encode(level, kind, pfn, tuple(chosen.items()), target.mode.page_shift)


def _kind(target: Target, level: str, roles: set[PgprotRole]) -> EntryKind:
    """A table where a table's protection is asked for, or the level has nothing else; otherwise a leaf."""
    if PgprotRole.TABLE in roles:
        return EntryKind.TABLE
    try:
        return target.mode.format.form(level, EntryKind.LEAF).kind
    except EncodingError:
        return EntryKind.TABLE


def _unknown(name: str, kind: EntryKind, level: str, known: list[str]) -> UsageError:
    folded = {text.casefold(): text for text in known}
    close = [folded[text] for text in difflib.get_close_matches(name.casefold(), folded, n=2)]
    advice = f"did you mean {' or '.join(close)}? " if close else ""
    return UsageError(
        f"{name!r} is no entry, protection or field of a {kind.value} at {level}",
        hint=f"{advice}the names are {', '.join(known)}; a hex number needs its 0x",
    )


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{text!r} is not a number", hint="write it in decimal, or in hex with 0x")
    return int(text, 0) if text[:2].lower() == "0x" else int(text)
