# SPDX-License-Identifier: GPL-2.0-only
"""Report of an object that was linked over an image, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from hvolab.cli.output import labeled
from hvolab.serialize import Hex
from hvolab_kernel.code.stubs import stub_names
from hvolab_kernel.objects.link import LinkedHvo

_NO_TYPES: Final = "not checked: the object has no types (compile it with -gbtf, or run pahole -J on it)"
_NOT_THE_IMAGES: Final = "not checked: the image has no types, and those of the object are used for both"


@dataclass(frozen=True)
class LinkReport:
    """Object that was linked over an image.

    path               file of the object
    start, size        first VA of its content, and bytes
    unchanged          whether all its functions have the code of the image's
    new_calls          functions outside of HVO that the object calls and the image's HVO does not
    missing            functions that it refers to and that the image lacks
    without_stub       those of them that end a case which calls them
    replaced           functions of the image that are replaced
    same_code          functions whose code is that of the image
    added, gone        functions that only the object, or only the image's HVO has
    own_data, shared   data that the object brings, and that it shares with the image
    static_branches    number of branches of static keys that were patched
    differing_structs  a sentence for each struct that differs from the image's; None: object or image has no types
    """

    path: Path
    start: Hex
    size: int
    unchanged: bool
    new_calls: tuple[str, ...]
    missing: tuple[str, ...]
    without_stub: tuple[str, ...]
    replaced: tuple[str, ...]
    same_code: tuple[str, ...]
    added: tuple[str, ...]
    gone: tuple[str, ...]
    own_data: tuple[str, ...]
    shared: tuple[str, ...]
    static_branches: int
    differing_structs: tuple[str, ...] | None


def link_report(linked: LinkedHvo) -> LinkReport:
    """Return a linked object for JSON."""
    made = linked.overlay
    return LinkReport(
        path=made.linked.object.path,
        start=made.linked.base,
        size=len(made.linked.content),
        unchanged=linked.unchanged,
        new_calls=linked.calls,
        missing=made.missing,
        without_stub=tuple(name for name in made.missing if name not in stub_names()),
        replaced=made.replaced,
        same_code=linked.same,
        added=made.added,
        gone=made.gone,
        own_data=made.own,
        shared=made.shared,
        static_branches=made.branches,
        differing_structs=linked.drift,
    )


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
