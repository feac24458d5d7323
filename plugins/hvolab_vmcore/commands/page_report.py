# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab page` for people."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from hvolab.cli.output import labeled, table
from hvolab_vmcore.page.view import PageView, StructPageData


def render(view: PageView) -> Group:
    """Return heading, facts, the walk, and the table of fields."""
    facts = labeled()
    names = (view.kernel or "unknown kernel", view.architecture, view.mode, f"modeled as {view.release}")
    heading = Text.assemble((f"PFN {view.pfn:#x}", "bold"), f"  {view.owner.role}   ", (", ".join(names), "dim"))
    for label, text in (
        ("owner", view.owner.text),
        ("page", f"PA {view.pa:#x}, {_state(view.state)}"),
        ("struct page", _place(view.struct_page)),
        ("stores", {True: "allowed", False: "fault", None: "cannot tell"}[view.struct_page.writable]),
        *(("finding", f"{one.kind}: {one.text}") for one in view.findings),
    ):
        facts.add_row(f"  {label}", text)
    walk = table("level", "PA of the entry", "entry")
    for step in view.struct_page.walk:
        walk.add_row(step.level, f"{step.pa:#x}", step.entry or _state(step.state))
    if not view.fields:
        return Group(heading, facts, Text(), walk)
    rows = table("offset", "field", "value", "meaning", right=("offset", "value"))
    for one in view.fields:
        rows.add_row(str(one.offset), one.name or "-", f"{one.value:#x}", one.meaning)
    return Group(heading, facts, Text(), walk, Text(), rows)


def _state(state: str) -> str:
    """Return the state of a frame in a few words."""
    return {"saved": "saved", "zero": "zero", "not saved": "not saved"}.get(state, "not in the dump")


def _place(place: StructPageData) -> str:
    """Return where a struct page is."""
    if place.pa is None:
        why = "not mapped" if place.mapped is False else "the dump lacks a page table"
        return f"VA {place.va:#x}, {why}"
    inside = f"number {place.index} in frame {place.frame:#x}, {_state(place.state or '')}"
    return f"VA {place.va:#x}, PA {place.pa:#x}: {inside}"
