# SPDX-License-Identifier: GPL-2.0-only
"""Everything about one struct page of a dump, as data: the JSON of `hvolab page`, whose keys are stable."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.errors import UsageError
from hvolab.serialize import Hex
from hvolab_vmcore.page.fields import FieldData, fields_of
from hvolab_vmcore.page.owner import Owner, owner_of
from hvolab_vmcore.page.way import STATES, WayStep, state_of
from hvolab_vmcore.page.words import read_struct_page
from hvolab_vmcore.scan.finding import CoreFinding
from hvolab_vmcore.scan.scan import Scan


@dataclass(frozen=True)
class StructPageData:
    """Place of a struct page.

    va        its VA
    pa        its PA; null: it is not mapped, or the dump lacks a page table
    frame     PFN of the frame that holds it
    index     its number among the struct pages of that frame
    state     state of this frame in the dump; null without a PA
    mapped    the vmemmap is mapped here; null: the dump lacks a page table
    writable  a store would not fault; null without a PA
    walk      the entries of the walk to it
    bytes     its bytes in hex; null: the dump does not have them
    """

    va: Hex
    pa: Hex | None
    frame: Hex | None
    index: int | None
    state: str | None
    mapped: bool | None
    writable: bool | None
    walk: tuple[WayStep, ...]
    bytes: str | None


@dataclass(frozen=True)
class PageView:
    """One page of a dump.

    core         file
    kernel       release as `uname -r` prints it; empty: unknown
    release      kernel release that is modeled
    pa           PA of the page itself
    state        state of the page itself in the dump: saved, zero, not saved, absent
    struct_page  place of its struct page
    owner        what it is part of
    fields       its fields; empty: the dump does not have them
    findings     findings of the vmemmap that concern this struct page
    """

    core: str
    kernel: str
    architecture: str
    mode: str
    release: str
    pfn: Hex
    pa: Hex
    state: str
    struct_page: StructPageData
    owner: Owner
    fields: tuple[FieldData, ...]
    findings: tuple[CoreFinding, ...]


def view_page(scan: Scan, pfn: int) -> PageView:
    """Return everything about one page; raises UsageError for a PFN that no PA of the mode has."""
    snapshot, mode = scan.snapshot, scan.snapshot.target.mode
    if not 0 <= pfn < 1 << mode.pa_bits - mode.page_shift:
        raise UsageError(
            f"there is no PFN {pfn:#x}",
            rule=f"a PA of mode {mode.name} has {mode.pa_bits} bits",
            hint="give a PFN, which is a PA without the bits of the page offset",
        )
    page = read_struct_page(snapshot, pfn)
    owner, pa = owner_of(scan, page), page.way.pa
    covering = (one for one in scan.findings if one.va <= page.va < one.va + (one.pages << mode.page_shift))
    return PageView(
        core=str(snapshot.core.path),
        kernel=snapshot.kernel,
        architecture=snapshot.target.architecture.name,
        mode=mode.name,
        release=snapshot.target.release.name,
        pfn=pfn,
        pa=pfn << mode.page_shift,
        state=STATES[state_of(snapshot, pfn)],
        struct_page=StructPageData(
            va=page.va,
            pa=pa,
            frame=None if pa is None else pa >> mode.page_shift,
            index=None if pa is None else pa % mode.page_size // page.layout.size,
            state=None if page.state is None else STATES[page.state],
            mapped=page.way.mapped,
            writable=page.way.writable,
            walk=page.way.steps,
            bytes=None if page.data is None else page.data.hex(),
        ),
        owner=owner,
        fields=fields_of(snapshot, page, owner),
        findings=tuple(covering),
    )
