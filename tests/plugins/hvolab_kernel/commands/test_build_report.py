# SPDX-License-Identifier: GPL-2.0-only
"""Report of an object."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from hvolab_kernel.build.objects import BuiltObject
from hvolab_kernel.build.tree import KernelTree
from hvolab_kernel.commands.build_report import build_view, report_of


def test_a_kept_object_of_the_images_headers_has_no_remarks() -> None:
    built = BuiltObject(Path("o.o"), Path("a.c"), "gcc 14", (), "a.c:1:1: warning: look", 0.01, cached=True)
    report = report_of(built, KernelTree(Path("/h"), Path("/h"), None, "6.12"), "6.12")
    console = Console(width=200)
    with console.capture() as shown:
        console.print(build_view(Path("my image"), report))
    lines = [line.split() for line in shown.get().splitlines() if line.strip()]
    assert [line[0] for line in lines] == ["a.c:1:1:", "object", "compiler", "headers", "next"]
    assert "kept from before" in shown.get()
    assert "hvolab kernel 'my image' --object o.o" in shown.get()
