# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab inspect`: HVO's state in a memory core."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from hvolab.cli.errors import ExitCode
from hvolab.cli.options import JsonOption, ProfileOption, ReleaseOption, split_names
from hvolab_vmcore.commands import options


class Only(enum.StrEnum):
    """Huge pages that are listed."""

    PROBLEMS = "problems"  #: those with findings that the architecture does not declare


def inspect(
    dump: options.DumpArgument,
    *,
    everything: Annotated[bool, typer.Option("--all", help="List all huge pages.")] = False,
    pfn: Annotated[
        list[int] | None,
        typer.Option(
            metavar="PFN",
            parser=options.parse_address,
            help="List the huge page that holds this PFN, in hex with 0x; repeatable.",
        ),
    ] = None,
    only: Annotated[Only | None, typer.Option(help="List only huge pages with findings.")] = None,
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
    """Show which huge pages of a memory dump are optimized, the memory saved, and broken invariants.

    A summary is always printed: kernel, pools by size and node, unknowns, findings. JSON has all huge pages,
    or those that --pfn and --only select. `hvolab page` shows one struct page.

    Exit code 0: no problems found, or only declared ones; 1: problems found; 2: the dump cannot be read; 3: no problems
    found, but parts that decide it are not in the dump.

    hvolab inspect vmcore --all
    """
    # imported late: `hvolab --help` does not read cores
    from hvolab.cli.output import print_json, progress  # noqa: PLC0415
    from hvolab_vmcore.commands.report import print_huge_pages, print_summary  # noqa: PLC0415
    from hvolab_vmcore.commands.report_data import listed, scan_data, selection  # noqa: PLC0415
    from hvolab_vmcore.core.snapshot import SnapshotOptions  # noqa: PLC0415
    from hvolab_vmcore.scan.releases import open_scan  # noqa: PLC0415

    codes = {"problems": ExitCode.FINDING, "cannot tell": ExitCode.UNKNOWN}
    names = split_names(feature)
    given = SnapshotOptions(arch, mode, root, vmemmap, names, profile, release, vmcoreinfo, memory_map, image)
    with progress("inspect", quiet=json) as on_step:
        result = open_scan(dump, given, part or (), on_step)
        on_step("checking entries")
        verdict = result.verdict.value
    chosen = selection(result, pfn or (), problems=only is not None) if pfn or only else None
    if json:
        print_json(scan_data(result, chosen))
    else:
        print_summary(result)
        if everything or chosen is not None:
            print_huge_pages(listed(result, chosen))
    raise typer.Exit(codes.get(verdict, ExitCode.AS_DECLARED))
