# SPDX-License-Identifier: GPL-2.0-only
"""The command `hvolab build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import JsonOption
from hvolab_kernel.commands.options import CacheOption, CompilerOption, ImageArgument, SourceArgument, TreeOption


def build(
    image: ImageArgument,
    source: SourceArgument,
    *,
    headers: TreeOption = None,
    cc: CompilerOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE.o", help="Copy the object to.")] = None,
    cache: CacheOption = True,
    json: JsonOption = False,
) -> None:
    """Compile your mm/hugetlb_vmemmap.c as the file of an image was, for `hvolab kernel IMAGE --object`.

    The arguments of the compiler are those that kbuild lists for a built-in file, with the image's configuration and
    architecture, and debugging information (DWARF and BTF). Arguments that the compiler does not know are left out and
    listed. The object is kept: the same file, with the same headers, is not compiled again.

    Nothing is fetched and nothing is written into the tree. Without headers the error has the commands that fetch them.

    Exit code 0: the object is there; 2: the file cannot be compiled, or headers or compiler are missing.

    hvolab build vmlinuz mm/hugetlb_vmemmap.c --headers linux-headers --output hugetlb_vmemmap.o
    """
    from hvolab.cli.output import print_json, progress, show  # noqa: PLC0415
    from hvolab_kernel.build.objects import ObjectBuilder, copy_object  # noqa: PLC0415
    from hvolab_kernel.build.tree import open_tree  # noqa: PLC0415
    from hvolab_kernel.commands.build_report import build_view, report_of  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    with progress("read the image", quiet=json) as on_step:
        kernel = open_kernel(image, use_cache=cache)
        builder = ObjectBuilder(kernel, open_tree(kernel, headers), cc)
        on_step(f"compile {source.name}")
        built = builder.build(source)
    if output is not None:
        built = copy_object(built, output)
    report = report_of(built, builder.tree, kernel.image.release)
    if json:
        print_json(report)
    else:
        show(build_view(image, report))
