# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab build`, for people and for programs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hvolab.cli.output import labeled
from hvolab_kernel.build.objects import BuiltObject
from hvolab_kernel.build.tree import KernelTree


def build_data(built: BuiltObject, tree: KernelTree, release: str) -> dict[str, Any]:
    """Return an object for JSON; `release` is the image's."""
    return {
        "object": str(built.path),
        "source": str(built.source),
        "kernel": release,
        "headers": str(tree.objects),
        "headers_release": tree.release,
        "compiler": built.compiler,
        "left_out": list(built.dropped),
        "messages": built.messages,
        "cached": built.cached,
        "seconds": round(built.seconds, 3),
    }


def build_view(image: Path, built: BuiltObject, data: dict[str, Any]) -> RenderableType:
    """Return an object for people, with the command that runs it."""
    rows = labeled()
    rows.add_row("object", Text(str(built.path), "bold"))
    rows.add_row("compiler", f"{built.compiler}, {'kept from before' if built.cached else f'{built.seconds:.1f} s'}")
    rows.add_row("headers", f"{data['headers_release'] or 'unknown release'}, {data['headers']}")
    if built.dropped:
        rows.add_row("left out", Text(f"{' '.join(built.dropped)} (unknown to this compiler)", "yellow"))
    if data["headers_release"] != data["kernel"]:
        rows.add_row("", Text(f"the image is {data['kernel'] or 'of unknown release'}: structs may differ", "yellow"))
    rows.add_row("next", f"hvolab kernel {shlex.quote(str(image))} --object {shlex.quote(str(built.path))}")
    return Group(*([Text(built.messages), Text()] if built.messages else []), rows)
