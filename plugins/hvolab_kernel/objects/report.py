# SPDX-License-Identifier: GPL-2.0-only
"""Report of an object that was linked over an image, for people and for programs."""

from __future__ import annotations

from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from hvolab.cli.output import labeled
from hvolab_kernel.code.stubs import stub_names
from hvolab_kernel.objects.link import LinkedHvo

_NO_TYPES: Final = "not checked: the object has no types (compile it with -gbtf, or run pahole -J on it)"
_NOT_THE_IMAGES: Final = "not checked: the image has no types, and those of the object are used for both"


def link_data(linked: LinkedHvo) -> dict[str, Any]:
    """Return a linked object for JSON."""
    made = linked.overlay
    return {
        "path": str(made.linked.object.path),
        "start": f"{made.linked.base:#x}",
        "size": len(made.linked.content),
        "unchanged": linked.unchanged,
        "new_calls": list(linked.calls),
        "missing": list(made.missing),
        "without_stub": [name for name in made.missing if name not in stub_names()],
        "replaced": list(made.replaced),
        "same_code": list(linked.same),
        "added": list(made.added),
        "gone": list(made.gone),
        "own_data": list(made.own),
        "shared": list(made.shared),
        "static_branches": made.branches,
        "differing_structs": None if linked.drift is None else list(linked.drift),
    }


def link_view(linked: LinkedHvo) -> RenderableType:
    """Return a linked object for people: what decides about the result first."""
    made = linked.overlay
    rows = labeled()
    rows.add_row("object", Text(str(made.linked.object.path), "bold"))
    if linked.unchanged:
        rows.add_row("code", Text("the code is that of the image", "green"))
    new = ", ".join(linked.calls)
    rows.add_row(
        "new calls", Text(f"out of HVO, to {new}; the image's HVO does not call them", "yellow") if new else "none"
    )
    for name in made.missing:
        stub = "a stub performs it" if name in stub_names() else "a call of it ends the case (add a stub: hvolab_stubs)"
        rows.add_row("missing", Text(f"{name} is not in the image: {stub}", "yellow"))
    changed = [name for name in made.replaced if name not in linked.same]
    rows.add_row("replaced", _names(changed) + (f"; with the same code: {_names(linked.same)}" if linked.same else ""))
    rows.add_row("added", _names(made.added))
    rows.add_row("gone", _names(made.gone))
    rows.add_row("own data", _names(made.own))
    rows.add_row("structs", _drift(linked))
    rows.add_row("linked at", f"{made.linked.base:#x}, {len(made.linked.content):#x} bytes")
    return rows


def _names(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names) or "none"


def _drift(linked: LinkedHvo) -> str | Text:
    if linked.drift is None:
        return _NO_TYPES if linked.overlay.linked.object.section(".BTF") is None else _NOT_THE_IMAGES
    return Text("; ".join(linked.drift), "bold red") if linked.drift else "those of the image"
