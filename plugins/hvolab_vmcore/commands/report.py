"""A scan in words: what `hvolab inspect` prints, as plain data for JSON and as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from hvolab.cli.output import show, table
from hvolab_vmcore.scan.finding import CoreFinding
from hvolab_vmcore.scan.huge_pages import HugePages, Sharing, sharing_of
from hvolab_vmcore.scan.scan import Scan

#: Huge pages that are listed one by one to people; JSON has all.
_LISTED = 32
#: Runs of tails that are listed to people; an optimized huge page has one.
_RUNS_LISTED = 3
#: Findings of one kind that are listed to people.
_FINDINGS_LISTED = 8
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def size_text(size: int) -> str:
    """A number of bytes as people write it."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} B"


def assumptions(scan: Scan) -> list[str]:
    """What had to be assumed, because the core does not hold it."""
    texts = []
    if scan.absent_frames:
        texts.append(f"{scan.absent_frames} frames behind the vmemmap are not in the core; nothing in them was read")
    if scan.walk.absent:
        texts.append(f"{len(scan.walk.absent)} page tables are not in the core; what lies below them is left out")
    if not scan.snapshot.kernel:
        texts.append("the core has no VMCOREINFO; struct page is taken to be v6.12's")
    return texts


def scan_data(scan: Scan) -> dict[str, Any]:
    """The scan for JSON; VAs, PAs, PFNs and entries are strings of hex. The keys are stable."""
    snapshot, target, savings = scan.snapshot, scan.snapshot.target, scan.savings
    return {
        "core": str(snapshot.core.path),
        "kernel": snapshot.kernel,
        "architecture": target.architecture.name,
        "mode": target.mode.name,
        "profile": target.profile,
        "release": target.release,
        "features": list(target.features),
        "root": hex(snapshot.tables.root),
        "vmemmap": hex(snapshot.vmemmap),
        "sizes": [_size_data(scan, huge) for huge in scan.huge_pages],
        "huge_pages": [row for huge in scan.huge_pages for row in _huge_page_data(scan, huge)],
        "savings": {
            "frames": savings.frames,
            "bytes": savings.bytes,
            "splits": savings.splits,
            "split_bytes": savings.split_bytes,
            "net_bytes": savings.net_bytes,
        },
        "absent": {
            "frames": scan.absent_frames,
            "tables": [
                {"va": hex(one.va), "level": one.level.name, "entry": hex(one.raw), "pa": hex(one.pa)}
                for one in scan.walk.absent
            ],
        },
        "findings": [finding.as_dict() for finding in scan.findings],
        "assumptions": assumptions(scan),
    }


def _size_data(scan: Scan, huge: HugePages) -> dict[str, int]:
    """How many huge pages of one size there are, by state."""
    return {
        "order": huge.order,
        "size": scan.snapshot.target.mode.page_size << huge.order,
        "optimized": int(huge.optimized.sum()),
        "not_optimized": int(huge.with_sharing(Sharing.NONE).sum()),
        "device_dax": int(huge.with_sharing(Sharing.DAX).sum()),
        "frames_saved": huge.frames_saved,
    }


def _huge_page_data(scan: Scan, huge: HugePages) -> Iterator[dict[str, Any]]:
    """One huge page after the other, with how its tails are mapped."""
    pages, writable = scan.pages, scan.inspector.writable
    broken = {finding.folio for finding in scan.findings if not finding.declared}
    for index, (row, pfn) in enumerate(zip(huge.rows.tolist(), huge.pfns.tolist(), strict=True)):
        sharing = sharing_of(int(huge.sharing[index]))
        state = "optimized" if sharing in {Sharing.HEAD, Sharing.TAIL} else sharing.value
        runs = () if sharing is Sharing.NONE else _runs(scan, row + 1, row + huge.pages)
        yield {
            "pfn": hex(pfn),
            "order": huge.order,
            "size": scan.snapshot.target.mode.page_size << huge.order,
            "state": "broken" if pfn in broken else state,
            "tails_share": None if sharing is Sharing.NONE else sharing.value,
            "bit": bool(huge.heads.optimized[index]) if huge.heads.there[index] else None,
            "vmemmap_va": hex(pages.va(row)),
            "vmemmap_pages": huge.pages,
            "head": _mapping(scan, row, 1),
            "tails": [{**_mapping(scan, first, count), "writable": bool(writable[first])} for first, count in runs],
        }


def _mapping(scan: Scan, row: int, count: int) -> dict[str, Any]:
    """What maps ``count`` pages of vmemmap that have the same entry."""
    pages = scan.pages
    level, frame = scan.walk.levels[int(pages.depths[row])].level, int(pages.frames[row])
    return {
        "va": hex(pages.va(row)),
        "pages": count,
        "entry": scan.snapshot.target.describe(level.name, int(pages.raws[row])),
        "pfn": None if frame < 0 else hex(frame),
    }


def _runs(scan: Scan, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Rows with the same entry, as the first and how many."""
    raws = scan.pages.raws[start:stop]
    cuts = [0, *(np.flatnonzero(raws[1:] != raws[:-1]) + 1).tolist(), stop - start]
    for first, last in pairwise(cuts):
        yield start + first, last - first


def print_scan(scan: Scan) -> None:
    """Print the scan as tables."""
    data = scan_data(scan)
    words = [data["kernel"] or "unknown kernel", data["architecture"], data["mode"], *data["features"]]
    show(", ".join(words))
    _print_huge_pages(data)
    savings = data["savings"]
    show(f"saved: {savings['frames']} frames, {size_text(savings['bytes'])}")
    if savings["splits"]:
        cost = size_text(savings["split_bytes"])
        count = savings["splits"]
        leaves, tables = ("leaf", "a page table") if count == 1 else ("leaves", "page tables")
        show(f"split: {count} {leaves} of the vmemmap into {tables} of {cost}")
    for text in data["assumptions"]:
        show(f"note: {text}")
    _print_findings(scan.findings)


def _print_huge_pages(data: dict[str, Any]) -> None:
    """Print a table of huge pages, and a line for each size."""
    rows = data["huge_pages"]
    listed = table("PFN", "size", "state", "head", "tails", "writable", "HPG bit", right=("size", "writable"))
    for row in rows[:_LISTED]:
        runs = [f"{part['pages']} → {part['pfn']}" for part in row["tails"]]
        tails = ", ".join([*runs[:_RUNS_LISTED], *(["…"] if len(runs) > _RUNS_LISTED else [])])
        writable = sum(part["pages"] for part in row["tails"] if part["writable"])
        bit = {True: "set", False: "clear", None: "not in the core"}[row["bit"]]
        head = row["head"]["pfn"] or "-"
        listed.add_row(row["pfn"], size_text(row["size"]), row["state"], head, tails or "own", str(writable), bit)
    if rows:
        show(listed)
    if len(rows) > _LISTED:
        show(f"… and {len(rows) - _LISTED} more; --json lists all")
    for size in data["sizes"]:
        others = f", {size['device_dax']} of a DAX device" if size["device_dax"] else ""
        show(f"{size_text(size['size'])}: {size['optimized']} optimized, {size['not_optimized']} not{others}")


def _print_findings(findings: tuple[CoreFinding, ...]) -> None:
    """Print the findings, or that there are none."""
    if not findings:
        show("nothing is wrong")
    told: Counter[tuple[str, bool]] = Counter()
    for finding in findings:
        told[finding.kind, finding.declared] += 1
        if told[finding.kind, finding.declared] > _FINDINGS_LISTED:
            continue
        declared = " (declared)" if finding.declared else ""
        pages = "" if finding.pages == 1 else f", {finding.pages} pages"
        folio = "" if finding.folio is None else f", huge page at PFN {finding.folio:#x}"
        show(f"{finding.kind}{declared}: {finding.text}")
        show(f"  VA {finding.va:#x}{pages}{folio}: {finding.entry}")
    for (kind, _), count in told.items():
        if count > _FINDINGS_LISTED:
            show(f"… and {count - _FINDINGS_LISTED} more of {kind}; --json lists them")
