# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab inspect`: HVO's state in a memory core."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.errors import ExitCode
from hvolab.cli.options import JsonOption, ProfileOption, ReleaseOption, split_names
from hvolab_vmcore.commands import options


def inspect(
    core: Annotated[
        Path, typer.Argument(metavar="CORE", help="Memory dump: ELF, kdump-compressed, LiME or AVML; may be packed.")
    ],
    *,
    part: options.PartOption = None,
    arch: options.ArchOption = None,
    mode: options.ModeOption = None,
    root: options.RootOption = None,
    vmemmap: options.VmemmapOption = None,
    vmcoreinfo: options.VmcoreinfoOption = None,
    memory_map: options.MapOption = None,
    feature: options.FeatureOption = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    json: JsonOption = False,
) -> None:
    """Show which huge pages of a memory core are optimized, the memory saved, and broken invariants.

    Exit code 0: no problems found, or only declared ones; 1: problems found; 2: the dump cannot be read; 3: no problems
    found, but parts that decide it were not saved.
    """
    # imported late: `hvolab --help` does not read cores
    from hvolab.cli.output import print_json  # noqa: PLC0415
    from hvolab_vmcore.commands.report import print_scan, scan_data  # noqa: PLC0415
    from hvolab_vmcore.core.snapshot import SnapshotOptions  # noqa: PLC0415
    from hvolab_vmcore.scan.releases import open_scan  # noqa: PLC0415

    codes = {"problems": ExitCode.FINDING, "cannot tell": ExitCode.UNKNOWN}

    chosen = SnapshotOptions(arch, mode, root, vmemmap, split_names(feature), profile, release, vmcoreinfo, memory_map)
    result = open_scan(core, chosen, parts=part or ())
    if json:
        print_json(scan_data(result))
    else:
        print_scan(result)
    raise typer.Exit(codes.get(result.verdict.value, ExitCode.AS_DECLARED))
