# SPDX-License-Identifier: GPL-2.0-only
"""Sentences about a scanned core: its kernel, and what it does not contain."""

from __future__ import annotations

from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.scan.scan import Scan

#: Flag of a head, for notes.
_BIT = "HPG_vmemmap_optimized"


def headline(snapshot: CoreSnapshot) -> str:
    """Return kernel, architecture, mode and features of a core in one line."""
    target = snapshot.target
    words = (snapshot.kernel or "unknown kernel", target.architecture.name, target.mode.name, *target.features)
    return ", ".join(words)


def assumptions(scan: Scan) -> list[str]:
    """Return notes about all that the core does not hold, and the assumptions made for it."""
    release = scan.snapshot.target.release
    unsaved = scan.unsaved
    frames, unnoted = scan.absent_frames, scan.snapshot.core.vmcoreinfo is None
    tables = len(scan.walk.absent) - len(unsaved.tables)
    notes = {
        f"not saved: page tables of the vmemmap: {len(unsaved.tables)}": len(unsaved.tables),
        f"not saved: frames that back the vmemmap: {unsaved.frames}": unsaved.frames,
        f"cannot tell {_BIT} of optimized huge pages whose head was not saved: {unsaved.bits}": unsaved.bits,
        f"cannot check {frames} frames that back the vmemmap: they are not in the core; a huge page whose head is in "
        "them is found only if it is optimized": frames,
        f"cannot check the vmemmap below page tables that are not in the core: {tables}": tables,
        f"the core has no VMCOREINFO; the layout of struct page is assumed to be that of {release}": unnoted,
    }
    return [*scan.snapshot.core.warnings, *(text for text, applies in notes.items() if applies)]
