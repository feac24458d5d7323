# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab build`, for people and for programs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from hvolab.cli.output import labeled
from hvolab_kernel.build.objects import BuiltObject
from hvolab_kernel.build.tree import KernelTree


@dataclass(frozen=True)
class BuildReport:
    """Result of `hvolab build`.

    object           file of the object
    source           the C file
    kernel           release of the image; empty where unknown
    headers          folder of the configuration
    headers_release  release that the headers build; empty where unknown
    compiler         the first line of the compiler's `--version`
    left_out         arguments of kbuild that the compiler refuses
    messages         warnings of the compiler
    cached           whether the object was there
    seconds          duration of the build
    """

    object: Path
    source: Path
    kernel: str
    headers: Path
    headers_release: str
    compiler: str
    left_out: tuple[str, ...]
    messages: str
    cached: bool
    seconds: float


def report_of(built: BuiltObject, tree: KernelTree, release: str) -> BuildReport:
    """Return the report of an object; `release` is the image's."""
    return BuildReport(
        object=built.path,
        source=built.source,
        kernel=release,
        headers=tree.objects,
        headers_release=tree.release,
        compiler=built.compiler,
        left_out=built.dropped,
        messages=built.messages,
        cached=built.cached,
        seconds=round(built.seconds, 3),
    )


def build_view(image: Path, built: BuildReport) -> RenderableType:
    """Return an object for people, with the command that runs it."""
    rows = labeled()
    rows.add_row("object", Text(str(built.object), "bold"))
    rows.add_row("compiler", f"{built.compiler}, {'kept from before' if built.cached else f'{built.seconds:.1f} s'}")
    rows.add_row("headers", f"{built.headers_release or 'unknown release'}, {built.headers}")
    if built.left_out:
        rows.add_row("left out", Text(f"{' '.join(built.left_out)} (unknown to this compiler)", "yellow"))
    if built.headers_release != built.kernel:
        rows.add_row("", Text(f"the image is {built.kernel or 'of unknown release'}: structs may differ", "yellow"))
    rows.add_row("next", f"hvolab kernel {shlex.quote(str(image))} --object {shlex.quote(str(built.object))}")
    return Group(*([Text(built.messages), Text()] if built.messages else []), rows)
