# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab inspect`: a scan as plain data for JSON, and as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from hvolab.arrays import equal_runs
from hvolab.cli.options import target_as_dict
from hvolab.cli.output import show, table
from hvolab.machine import FrameState
from hvolab.serialize import as_data
from hvolab.units import format_size
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.core.walk import AbsentTable
from hvolab_vmcore.scan.finding import CoreFinding
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing
from hvolab_vmcore.scan.scan import Scan

#: Huge pages in the table; JSON has all.
_LISTED = 32
#: Runs of tails of a huge page in the table; an optimized one has a single run.
_RUNS_LISTED = 3
#: Flag of a head, for notes.
_BIT = "HPG_vmemmap_optimized"
#: Findings of one kind that are printed.
_FINDINGS_LISTED = 8


def headline(snapshot: CoreSnapshot) -> str:
    """Return kernel, architecture, mode and features of a core in one line."""
    target = snapshot.target
    words = (snapshot.kernel or "unknown kernel", target.architecture.name, target.mode.name, *target.features)
    return ", ".join(words)


def assumptions(scan: Scan) -> list[str]:
    """Return notes about all that the core does not hold, and the assumptions made for it."""
    release = scan.snapshot.target.release
    unsaved = scan.unsaved
    frames, unnamed = scan.absent_frames, not scan.snapshot.kernel
    tables = len(scan.walk.absent) - len(unsaved.tables)
    notes = {
        f"not saved: page tables of the vmemmap: {len(unsaved.tables)}": len(unsaved.tables),
        f"not saved: frames that back the vmemmap: {unsaved.frames}": unsaved.frames,
        f"cannot tell {_BIT} of optimized huge pages whose head was not saved: {unsaved.bits}": unsaved.bits,
        f"cannot check {frames} frames that back the vmemmap: they are not in the core; a huge page whose head is in "
        "them is found only if it is optimized": frames,
        f"cannot check the vmemmap below page tables that are not in the core: {tables}": tables,
        f"the core has no VMCOREINFO; the layout of struct page is assumed to be that of {release}": unnamed,
    }
    return [*scan.snapshot.core.warnings, *(text for text, applies in notes.items() if applies)]


def scan_data(scan: Scan) -> dict[str, Any]:
    """Return the scan for JSON; VAs, PAs, PFNs and entries are strings of hex. The keys are stable."""
    snapshot, target = scan.snapshot, scan.snapshot.target
    return {
        "core": str(snapshot.core.path),
        "format": snapshot.core.format,
        "kernel": snapshot.kernel,
        **target_as_dict(target),
        "release_choice": snapshot.choice.as_dict(),
        "root": hex(snapshot.tables.root),
        "vmemmap": hex(snapshot.vmemmap),
        "sizes": [_size_data(scan, huge) for huge in scan.huge_pages],
        "huge_pages": [row for huge in scan.huge_pages for row in _huge_page_data(scan, huge)],
        "savings": as_data(scan.savings),
        "absent": {
            "frames": scan.absent_frames,
            "tables": _tables(one for one in scan.walk.absent if one.state is FrameState.ABSENT),
        },
        "not_saved": {"frames": scan.unsaved.frames, "tables": _tables(scan.unsaved.tables), "bits": scan.unsaved.bits},
        "verdict": scan.verdict.value,
        "findings": as_data(scan.findings),
        "assumptions": assumptions(scan),
    }


def _tables(tables: Iterable[AbsentTable]) -> list[dict[str, str]]:
    """Return page tables that were not read."""
    return [{"va": hex(one.va), "level": one.level.name, "entry": hex(one.raw), "pa": hex(one.pa)} for one in tables]


def _size_data(scan: Scan, huge: HugePages) -> dict[str, int]:
    """Return the number of huge pages of one size, by state."""
    return {
        "order": huge.order,
        "size": scan.snapshot.target.mode.page_size << huge.order,
        "optimized": int(huge.optimized.sum()),
        "not_optimized": int(huge.with_sharing(Sharing.NONE).sum()),
        "device_dax": int(huge.with_sharing(Sharing.DAX).sum()),
        "cannot_tell": scan.unsaved.blocks[huge.order],
        "frames_saved": huge.frames_saved,
    }


def _huge_page_data(scan: Scan, huge: HugePages) -> Iterator[dict[str, Any]]:
    """Return the huge pages of one size, with the mapping of their tails."""
    pages, writable = scan.pages, scan.inspector.writable
    broken = {finding.folio for finding in scan.findings if not finding.declared}
    for index, (row, pfn) in enumerate(zip(huge.rows.tolist(), huge.pfns.tolist(), strict=True)):
        sharing = Sharing(int(huge.sharing[index]))
        state = "optimized" if sharing in {Sharing.HEAD, Sharing.TAIL} else sharing.label
        runs = () if sharing is Sharing.NONE else _runs(scan, row + 1, row + huge.pages)
        yield {
            "pfn": hex(pfn),
            "order": huge.order,
            "size": scan.snapshot.target.mode.page_size << huge.order,
            "state": "broken" if pfn in broken else state,
            "tails_share": None if sharing is Sharing.NONE else sharing.label,
            "bit": bool(huge.heads.optimized[index]) if huge.heads.there[index] else None,
            "vmemmap_va": hex(pages.va(row)),
            "vmemmap_pages": huge.pages,
            "head": _mapping(scan, row, 1),
            "tails": [{**_mapping(scan, first, count), "writable": bool(writable[first])} for first, count in runs],
        }


def _mapping(scan: Scan, row: int, count: int) -> dict[str, Any]:
    """Return the mapping of ``count`` vmemmap pages with the same entry."""
    pages = scan.pages
    level, frame = scan.walk.levels[int(pages.depths[row])].level, int(pages.frames[row])
    return {
        "va": hex(pages.va(row)),
        "pages": count,
        "entry": scan.snapshot.target.describe(level.name, int(pages.raws[row])),
        "pfn": None if frame < 0 else hex(frame),
    }


def _runs(scan: Scan, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Return runs of rows with the same entry, as first row and count."""
    for first, last in zip(*equal_runs(scan.pages.raws[start:stop]), strict=True):
        yield start + int(first), int(last - first)


def print_scan(scan: Scan) -> None:
    """Print the scan as tables."""
    data = scan_data(scan)
    show(headline(scan.snapshot))
    for sentence in scan.snapshot.choice.sentences():
        show(sentence)
    _print_huge_pages(data)
    savings = data["savings"]
    show(f"saved: {savings['frames']} frames, {format_size(savings['bytes'])}")
    if count := savings["splits"]:
        cost = format_size(savings["split_bytes"])
        leaves, tables = ("leaf", "a page table") if count == 1 else ("leaves", "page tables")
        show(f"split: {count} {leaves} of the vmemmap into {tables} of {cost}")
    for text in data["assumptions"]:
        show(f"note: {text}")
    _print_verdict(scan)
    _print_findings(scan.findings)


def _print_huge_pages(data: dict[str, Any]) -> None:
    """Print a table of the huge pages, and a line for each size."""
    rows = data["huge_pages"]
    listed = table("PFN", "size", "state", "head", "tails", "writable", "HPG bit", right=("size", "writable"))
    for row in rows[:_LISTED]:
        runs = [f"{part['pages']} → {part['pfn']}" for part in row["tails"]]
        tails = ", ".join([*runs[:_RUNS_LISTED], *(["…"] if len(runs) > _RUNS_LISTED else [])])
        writable = sum(part["pages"] for part in row["tails"] if part["writable"])
        bit = {True: "set", False: "clear", None: "cannot tell"}[row["bit"]]
        head = row["head"]["pfn"] or "-"
        listed.add_row(row["pfn"], format_size(row["size"]), row["state"], head, tails or "own", str(writable), bit)
    if rows:
        show(listed)
    if len(rows) > _LISTED:
        show(f"… and {len(rows) - _LISTED} more; --json lists all")
    for size in data["sizes"]:
        others = f", {size['device_dax']} of a DAX device" if size["device_dax"] else ""
        unknown = f", cannot tell of up to {size['cannot_tell']}" if size["cannot_tell"] else ""
        show(
            f"{format_size(size['size'])}: {size['optimized']} optimized, {size['not_optimized']} not{others}{unknown}"
        )


def _print_verdict(scan: Scan) -> None:
    """Print the result where it is not in the findings."""
    if scan.unsaved.decisive:
        show("cannot tell whether the vmemmap is right: parts that decide it were not saved")
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
