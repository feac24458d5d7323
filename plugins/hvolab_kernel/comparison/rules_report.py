# SPDX-License-Identifier: GPL-2.0-only
"""Report of broken rules, and of the kinds of differences in which an object differs from its reference."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hvolab.cli.output import table
from hvolab_kernel.comparison.broken_rules import FAULT, BrokenRule
from hvolab_kernel.comparison.comparer import KernelComparison
from hvolab_kernel.comparison.differences import StateDifference

#: Kinds of differences in the table; JSON has all differences.
_MAX_KINDS: Final = 12
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\b\d+\b")


@dataclass(frozen=True)
class Breach(BrokenRule):
    """Breaches of one kind: the first, the case that it is in, and the number of cases."""

    case: str = ""
    cases: int = 0


def breaches_of(result: KernelComparison[Any]) -> list[Breach]:
    """Return the breaches of each kind, those that count first."""
    found: dict[tuple[object, ...], Breach] = {}
    for case, rules in result.broken.items():
        for one in rules:
            key = (one.kind, one.known)
            first = found.get(key, Breach(**vars(one), case=str(case)))
            found[key] = replace(first, cases=first.cases + 1)
    return sorted(found.values(), key=lambda one: bool(one.known))


def breaches_view(breaches: Iterable[Breach]) -> RenderableType:
    """Return the breaches for people: rule, place, and the functions that ran; those that are known by their reason."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for one in breaches:
        if one.known:
            rows.add_row(Text("known", "yellow"), f"{one.rule}: {one.what}, in {one.cases} cases: {one.known}")
            continue
        rows.add_row(Text("broken", "bold red"), Text.assemble((f"{one.rule}: ", "bold red"), one.what))
        for text in filter(None, (one.where, one.code and f"code: {one.code}")):
            rows.add_row("", Text(text))
        if one.fault:
            rows.add_row("", Text(f"{FAULT}{one.fault}", "yellow"))
        rows.add_row("", Text(f"in {one.cases} cases, the first: {one.case}", "dim"))
    return rows


def kinds_view(result: KernelComparison[Any]) -> RenderableType:
    """Return how the kernel's behavior differs from its reference, by kind."""
    kinds: dict[tuple[str, ...], tuple[StateDifference, int]] = {}
    for differences in result.disagreements.values():
        for key, one in {_kind(one): one for one in reversed(differences)}.items():
            kinds[key] = (kinds[key][0] if key in kinds else one, kinds.get(key, (one, 0))[1] + 1)
    rows = table("kind of difference", "cases", "the first: kernel", "reference", right=("cases",))
    for column in rows.columns:
        column.no_wrap, column.overflow = False, "fold"
    ordered = sorted(kinds.items(), key=lambda item: -item[1][1])
    for (what, *_), (one, cases) in islice(ordered, _MAX_KINDS):
        rows.add_row(Text(what), f"{cases}", Text(one.kernel), Text(one.engine))
    more = f"{len(kinds) - _MAX_KINDS} more kinds: --json has all differences"
    return Group(rows, *([Text(more, "yellow")] if len(kinds) > _MAX_KINDS else []))


def _kind(one: StateDifference) -> tuple[str, ...]:
    """Return what differs, and both values, without numbers."""
    return tuple(_NUMBER.sub("…", text) for text in (one.what, one.kernel.partition("; where")[0], one.engine))
