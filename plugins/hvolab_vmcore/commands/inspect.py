"""`hvolab inspect`: HVO's state in a memory core."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import JsonOption
from hvolab_vmcore.commands.core_options import (
    ArchOption,
    FeatureOption,
    ModeOption,
    ProfileOption,
    ReleaseOption,
    RootOption,
    VmemmapOption,
    options_of,
)


def inspect(
    core: Annotated[
        Path, typer.Argument(metavar="CORE", help="Memory core: ELF64, may be compressed (.xz, .gz, .zst).")
    ],
    *,
    arch: ArchOption = None,
    mode: ModeOption = None,
    root: RootOption = None,
    vmemmap: VmemmapOption = None,
    feature: FeatureOption = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    json: JsonOption = False,
) -> None:
    """Show which huge pages of a memory core are optimized, what that saves, and what is wrong.

    Exit code 0: nothing is wrong that the architecture does not declare; 1: something is; 2: the core cannot be read.
    """
    # what reads cores waits until a core is to be read
    from hvolab.cli.output import print_json  # noqa: PLC0415
    from hvolab_vmcore.commands.report import print_scan, scan_data  # noqa: PLC0415
    from hvolab_vmcore.core.snapshot import open_snapshot  # noqa: PLC0415
    from hvolab_vmcore.scan.scan import scan  # noqa: PLC0415

    options = options_of(arch, mode, root, vmemmap, feature, profile, release)
    found = scan(open_snapshot(core, options))
    if json:
        print_json(scan_data(found))
    else:
        print_scan(found)
    if found.kinds():
        raise typer.Exit(1)
