# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab inspect` for people: a summary, findings, and a table of huge pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hvolab.cli.output import show, table
from hvolab.units import format_size
from hvolab_vmcore.commands.notes import assumptions, headline
from hvolab_vmcore.commands.report_data import HugePageData
from hvolab_vmcore.scan.finding import CoreFinding
from hvolab_vmcore.scan.pools import pools
from hvolab_vmcore.scan.scan import Scan

#: Runs of tails of a huge page in the table; an optimized one has a single run.
_RUNS_LISTED = 3
#: Findings of one kind that are printed.
_FINDINGS_LISTED = 8
_UNKNOWN = "cannot tell"


def print_summary(scan: Scan) -> None:
    """Print kernel, pools, savings, unknowns, and findings."""
    first, *reasons = scan.snapshot.choice.sentences()
    show(headline(scan.snapshot))
    show(first)
    _print_pools(scan)
    savings = scan.savings
    show(f"saved: {savings.frames} frames, {format_size(savings.bytes)}")
    if count := savings.splits:
        cost = format_size(savings.split_bytes)
        leaves, tables = ("leaf", "a page table") if count == 1 else ("leaves", "page tables")
        show(f"split: {count} {leaves} of the vmemmap into {tables} of {cost}")
    for text in assumptions(scan):
        show(f"note: {text}")
    _print_verdict(scan)
    _print_findings(scan.findings)
    if reasons:
        show(f"reasons for release {scan.snapshot.target.release}:")
    for sentence in reasons:
        show(sentence)


def _print_pools(scan: Scan) -> None:
    """Print a row for each size and node."""
    counts = ("optimized", "not", "device dax", "cannot tell", "saved")
    made = table("size", "node", *counts, right=("size", "node", *counts))
    for pool in pools(scan):
        unknown = f"up to {pool.cannot_tell}" if pool.cannot_tell else "0"
        some = pool.optimized or pool.not_optimized or pool.device_dax
        node = str(pool.node) if pool.node is not None else _UNKNOWN if some else "-"
        numbers = map(str, (pool.optimized, pool.not_optimized, pool.device_dax))
        made.add_row(format_size(pool.size), node, *numbers, unknown, format_size(pool.bytes_saved))
    show(made)


def print_huge_pages(rows: Iterable[HugePageData]) -> None:
    """Print a table of huge pages."""
    made = table(
        "PFN", "size", "node", "state", "head", "tails", "writable", "HPG bit", right=("size", "node", "writable")
    )
    for row in rows:
        runs = [f"{part.pages} → {part.pfn:#x}" if part.pfn is not None else f"{part.pages} → -" for part in row.tails]
        tails = ", ".join([*runs[:_RUNS_LISTED], *(["…"] if len(runs) > _RUNS_LISTED else [])])
        writable = sum(part.pages for part in row.tails if part.writable)
        bit = {True: "set", False: "clear", None: _UNKNOWN}[row.bit]
        head = "-" if row.head.pfn is None else f"{row.head.pfn:#x}"
        node = _UNKNOWN if row.node is None else str(row.node)
        made.add_row(f"{row.pfn:#x}", format_size(row.size), node, row.state, head, tails or "own", str(writable), bit)
    show(made if made.rows else "no huge page is selected")


def _print_verdict(scan: Scan) -> None:
    """Print the result where it is not in the findings."""
    if scan.unsaved.decisive:
        show("cannot tell whether the vmemmap is right: parts that decide it are not in the dump")
    elif not scan.findings:
        complete = not (scan.absent_frames or scan.unsaved.frames or scan.walk.absent)
        show("no problems found" if complete else "no problems found in what was read")


def _print_findings(findings: tuple[CoreFinding, ...]) -> None:
    """Print the findings."""
    printed: Counter[tuple[str, bool]] = Counter()
    for finding in findings:
        printed[finding.kind, finding.declared] += 1
        if printed[finding.kind, finding.declared] > _FINDINGS_LISTED:
            continue
        declared = " (declared)" if finding.declared else ""
        pages = "" if finding.pages == 1 else f", {finding.pages} pages"
        folio = "" if finding.folio is None else f", huge page at PFN {finding.folio:#x}"
        invariant = "" if finding.rule is None else f"; invariant {finding.number} ({finding.rule})"
        show(f"{finding.kind}{declared}: {finding.text}{invariant}")
        show(f"  VA {finding.va:#x}{pages}{folio}: {finding.entry}")
    for (kind, _), count in printed.items():
        if count > _FINDINGS_LISTED:
            show(f"… and {count - _FINDINGS_LISTED} more of {kind}; --json lists them")
