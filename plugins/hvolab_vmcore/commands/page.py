# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab page`: everything about one struct page of a memory dump."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.errors import ExitCode
from hvolab.cli.options import JsonOption, ProfileOption, ReleaseOption, split_names
from hvolab_vmcore.commands import options


def page(
    dump: options.DumpArgument,
    pfn: Annotated[
        int, typer.Argument(metavar="PFN", parser=options.parse_address, help="PFN of the page, in hex with 0x.")
    ],
    *,
    part: options.PartOption = None,
    arch: options.ArchOption = None,
    mode: options.ModeOption = None,
    root: options.RootOption = None,
    vmemmap: options.VmemmapOption = None,
    vmcoreinfo: options.VmcoreinfoOption = None,
    memory_map: options.MapOption = None,
    image: options.ImageOption = None,
    feature: options.FeatureOption = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    json: JsonOption = False,
) -> None:
    """Show where one struct page is, how it is mapped, whose page it describes, and its fields.

    Exit code 0: it is known whose page it is; 1: findings concern this struct page; 2: the dump cannot be read; 3: what
    decides it was not saved.

    hvolab page vmcore 0x5c01
    """
    # imported late: `hvolab --help` does not read dumps
    from hvolab.cli.output import print_json, progress, show  # noqa: PLC0415
    from hvolab_vmcore.commands.page_report import render  # noqa: PLC0415
    from hvolab_vmcore.core.snapshot import SnapshotOptions  # noqa: PLC0415
    from hvolab_vmcore.page.view import view_page  # noqa: PLC0415
    from hvolab_vmcore.scan.releases import open_scan  # noqa: PLC0415

    names = split_names(feature)
    given = SnapshotOptions(arch, mode, root, vmemmap, names, profile, release, vmcoreinfo, memory_map, image)
    with progress("page", quiet=json) as on_step:
        view = view_page(open_scan(dump, given, part or (), on_step), pfn)
    if json:
        print_json(view)
    else:
        show(render(view))
    if any(not finding.declared for finding in view.findings):
        raise typer.Exit(ExitCode.FINDING)
    raise typer.Exit(ExitCode.UNKNOWN if view.owner.role == "cannot tell" else ExitCode.AS_DECLARED)
