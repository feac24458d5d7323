"""`hvolab inspect`: HVO's state in a memory core."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from . import core_options as option
from .report import print_scan, scan_data
from .scan import scan
from .snapshot import open_snapshot


def inspect(
    core: Annotated[Path, typer.Argument(help="Memory core (ELF64, may be .xz, .gz or .zst).")],
    *,
    arch: option.Arch = None,
    mode: option.Mode = None,
    root: option.Root = None,
    vmemmap: option.Vmemmap = None,
    feature: option.Features = None,
    profile: option.Profile = None,
    generation: option.Generation = None,
    json: option.Json = False,
) -> None:
    """Show which huge pages of a memory core are optimised, what that saves, and what is wrong.

    Exit code 0: nothing is wrong that the architecture does not declare; 1: something is; 2: the core cannot be read.
    """
    options = option.options_of(arch, mode, root, vmemmap, feature, profile, generation)
    found = scan(open_snapshot(core, options))
    console = Console()
    if json:
        console.print_json(data=scan_data(found))
    else:
        print_scan(found, console)
    if found.kinds():
        raise typer.Exit(1)
