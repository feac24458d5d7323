# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab torture`: small dumps of optimized machines, with the right answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import JsonOption, complete_architecture


def torture(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to; it is made, or has to be empty.")],
    *,
    arch: Annotated[
        list[str] | None,
        typer.Option(
            "--arch",
            "-a",
            metavar="NAME",
            help="Only this architecture; repeatable.",
            autocompletion=complete_architecture,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write small dumps of machines with optimized huge pages, for tests of any reader of dumps.

    There is a dump for each mode of each architecture, for each kernel release's form, and for each format. The file
    answers.json has the right answers about each: huge pages, and which frame each page of their vmemmap maps.

    hvolab torture dumps --arch riscv
    """
    # imported late: machines are built here
    from hvolab.cli.output import print_json, progress, show, table  # noqa: PLC0415
    from hvolab.plugin import registry  # noqa: PLC0415
    from hvolab.units import format_size  # noqa: PLC0415
    from hvolab_vmcore.torture.torture import ANSWERS, write_torture  # noqa: PLC0415

    known = registry().architectures()
    chosen = {one.name: one for name in arch or known for one in (registry().architecture(name),)}
    with progress("torture", quiet=json) as on_step:
        answers = write_torture(folder, chosen, on_step)
    if json:
        print_json(answers)
        return
    made = table("dump", "size", "huge pages", "optimized", "frames saved", right=("size",))
    for one in answers.dumps:
        size = sum((folder / name).stat().st_size for name in (one.file, *one.parts))
        optimized = sum(page.optimized for page in one.huge_pages)
        made.add_row(one.file, format_size(size), str(len(one.huge_pages)), str(optimized), str(one.frames_saved))
    show(made)
    show(f"{len(answers.dumps)} dumps; the right answers are in {folder / ANSWERS}")
