"""A scan in words: what `hvolab inspect` prints, as plain data for JSON and as tables for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from .findings import Finding
from .huge_pages import HugePages, Sharing, sharing_of
from .scan import Scan

#: Huge pages that are listed one by one to people; JSON has all.
_LISTED = 32
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
        texts.append(
            f"{scan.absent_frames} frames behind the vmemmap are not in the core: what their struct pages say is "
            "unknown, and they are taken for boot (reserved) memory that is not self-hosted"
        )
    if scan.walk.absent:
        texts.append(f"{len(scan.walk.absent)} page tables are not in the core: what lies below them is left out")
    if not scan.snapshot.kernel:
        texts.append("the core has no VMCOREINFO: struct page is taken for v6.12's, other figures from the options")
    return texts


def scan_data(scan: Scan) -> dict[str, Any]:
    """The scan for JSON; VAs, PAs and PFNs are hex strings. The keys are stable."""
    snapshot, target, savings = scan.snapshot, scan.snapshot.target, scan.savings
    return {
        "core": str(snapshot.core.path),
        "kernel": snapshot.kernel,
        "architecture": target.architecture.name,
        "mode": target.mode.name,
        "profile": target.profile,
        "generation": target.generation,
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


def _size_data(scan: Scan, huge: HugePages) -> dict[str, Any]:
    optimised = int(huge.optimised.sum())
    return {
        "order": huge.order,
        "size": scan.snapshot.target.mode.page_size << huge.order,
        "optimised": optimised,
        "not_optimised": int(huge.with_sharing(Sharing.NONE).sum()),
        "device_dax": int(huge.with_sharing(Sharing.DAX).sum()),
        "frames_saved": optimised * (huge.pages - 1)
        - int(np.unique(huge.shared[huge.with_sharing(Sharing.TAIL)]).size),
    }


def _huge_page_data(scan: Scan, huge: HugePages) -> Iterator[dict[str, Any]]:
    """One huge page after the other, with how its tails are mapped."""
    pages, target, writable = scan.pages, scan.snapshot.target, scan.inspector.writable
    broken = {finding.folio for finding in scan.findings if not finding.declared}
    for index, (row, pfn) in enumerate(zip(huge.rows.tolist(), huge.pfns.tolist(), strict=True)):
        sharing = sharing_of(int(huge.sharing[index]))
        state = "optimised" if sharing in {Sharing.HEAD, Sharing.TAIL} else sharing.value
        yield {
            "pfn": hex(pfn),
            "order": huge.order,
            "size": target.mode.page_size << huge.order,
            "state": "broken" if pfn in broken else state,
            "tails_share": None if sharing is Sharing.NONE else sharing.value,
            "bit": bool(huge.heads.optimised[index]) if huge.heads.there[index] else None,
            "vmemmap_va": hex(pages.va(row)),
            "vmemmap_pages": huge.pages,
            "head": _mapping(scan, row, 1),
            "tails": [
                {**_mapping(scan, first, count), "writable": bool(writable[first])}
                for first, count in _runs(scan, row + 1, row + huge.pages)
            ]
            if sharing is not Sharing.NONE
            else [],
        }


def _mapping(scan: Scan, row: int, count: int) -> dict[str, Any]:
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
    for first, last in zip(cuts[:-1], cuts[1:], strict=True):
        yield start + first, last - first


def print_scan(scan: Scan, console: Console) -> None:
    """Print the scan as tables."""
    data = scan_data(scan)
    features = "".join(f" +{name}" for name in data["features"])
    kernel = data["kernel"] or "unknown kernel"
    console.print(f"{kernel}, {data['architecture']} {data['mode']}{features} (generation {data['generation']})")
    _print_huge_pages(data, console)
    savings = data["savings"]
    console.print(
        f"saved: {savings['frames']} frames, {size_text(savings['bytes'])}; page tables of {savings['splits']} splits: "
        f"{size_text(savings['split_bytes'])}; net {size_text(max(0, savings['net_bytes']))}"
        if savings["net_bytes"] >= 0
        else f"saved: {savings['frames']} frames; the page tables of {savings['splits']} splits cost "
        f"{size_text(-savings['net_bytes'])} more"
    )
    for text in data["assumptions"]:
        console.print(f"assumed: {text}")
    print_findings(scan.findings, console)


def _print_huge_pages(data: dict[str, Any], console: Console) -> None:
    rows = data["huge_pages"]
    if not rows:
        console.print("no huge pages whose vmemmap HVO could optimise")
        return
    table = Table("PFN", "size", "state", "head frame", "tails", "writable", "HPG bit")
    for row in rows[:_LISTED]:
        tails = ", ".join(f"{part['pages']} -> {part['pfn']}" for part in row["tails"][:4])
        tails += ", …" if len(row["tails"]) > 4 else ""
        writable = sum(part["pages"] for part in row["tails"] if part["writable"])
        bit = {True: "set", False: "clear", None: "?"}[row["bit"]]
        table.add_row(
            row["pfn"], size_text(row["size"]), row["state"], row["head"]["pfn"], tails or "own", str(writable), bit
        )
    console.print(table)
    if len(rows) > _LISTED:
        console.print(f"… and {len(rows) - _LISTED} more; --json lists all")
    for size in data["sizes"]:
        console.print(
            f"{size_text(size['size'])}: {size['optimised']} optimised, {size['not_optimised']} not, "
            f"{size['frames_saved']} frames saved"
        )


def print_findings(findings: tuple[Finding, ...], console: Console) -> None:
    """Print the findings, or that there are none."""
    if not findings:
        console.print("nothing is wrong")
        return
    table = Table("finding", "VA", "pages", "PFN", "entry", "what")
    for finding in findings:
        kind = f"{finding.kind} (declared)" if finding.declared else finding.kind
        pfn = "-" if finding.pfn is None else hex(finding.pfn)
        table.add_row(kind, hex(finding.va), str(finding.pages), pfn, finding.entry, finding.text)
    console.print(table)
