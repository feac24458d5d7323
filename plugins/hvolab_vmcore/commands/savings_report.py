# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab savings` for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hvolab.cli.output import table
from hvolab.units import format_size
from hvolab_vmcore.savings.savings import SavingsReport, totals

_UNKNOWN = "cannot tell"


def render(report: SavingsReport) -> Group:
    """Return heading, the huge pages that there are, and the plan."""
    page = "" if report.page_size is None else f", base pages of {format_size(report.page_size)}"
    words = f"{report.kernel or 'unknown kernel'}, {format_size(report.memory)} of memory{page}, HVO: {report.hvo}"
    parts: list[RenderableType] = [Text(words, "bold"), *(Text(f"note: {text}") for text in report.notes)]
    parts.append(_pools(report) if report.pools else Text("no huge pages"))
    for size, saved, possible in totals(report.pools):
        known = _UNKNOWN if saved is None else format_size(saved)
        parts.append(Text(f"{format_size(size)}: saved {known}, if all are optimized {format_size(possible)}"))
    parts += [Text(), Text(f"if {format_size(report.memory)} are huge pages:"), _plan(report)]
    return Group(*parts)


def _pools(report: SavingsReport) -> Table:
    """Return a row for each size and node."""
    right = ("size", "node", "huge pages", "optimized", "saved", "if all are")
    made = table(*right, right=right)
    for pool in report.pools:
        optimized = _UNKNOWN if pool.optimized is None else str(pool.optimized)
        saved = _UNKNOWN if pool.saved is None else format_size(pool.saved)
        node = "-" if pool.node is None else str(pool.node)
        made.add_row(format_size(pool.size), node, str(pool.huge_pages), optimized, saved, format_size(pool.possible))
    return made


def _plan(report: SavingsReport) -> Table:
    """Return a row for each size of base page and huge page."""
    numbers = ("base page", "huge page", "vmemmap", "saved each", "percent", "saved", "page tables")
    made = table(*numbers, "architectures", right=numbers)
    for row in report.plan:
        own = row.page_size == report.page_size
        made.add_row(
            format_size(row.page_size),
            format_size(row.size),
            format_size(row.vmemmap),
            format_size(row.saved),
            f"{row.percent:.2f}",
            format_size(row.memory_saved),
            format_size(row.tables),
            ", ".join(row.architectures),
            style="" if own else "dim",
        )
    return made
