# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab savings`: what HVO saves, and would save."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import JsonOption, ProfileOption, ReleaseOption, split_names
from hvolab_vmcore.commands import options


def savings(
    dump: Annotated[
        Path | None,
        typer.Argument(metavar="DUMP", help="Memory dump, as for `hvolab inspect`; by default this machine."),
    ] = None,
    *,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory of the plan, as 512G or 4T; by default that of machine or dump."),
    ] = None,
    system: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that has proc and sys of a machine, as an sos report has.")
    ] = Path("/"),
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Plot the savings by memory, as .svg or .png.")
    ] = None,
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
    """Show what HVO saves, and would save, by size of huge page, size of base page, and memory.

    Of this machine it reads /proc and /sys, without root. Only a dump shows which huge pages are optimized.

    hvolab savings --memory 4T

    hvolab savings vmcore
    """
    # imported late: `hvolab --help` does not read dumps
    from hvolab.cli.output import print_json, progress, show  # noqa: PLC0415
    from hvolab.plugin import registry  # noqa: PLC0415
    from hvolab.units import parse_size  # noqa: PLC0415
    from hvolab_vmcore.commands.savings_report import render  # noqa: PLC0415
    from hvolab_vmcore.core.snapshot import SnapshotOptions  # noqa: PLC0415
    from hvolab_vmcore.savings.plot import write_plot  # noqa: PLC0415
    from hvolab_vmcore.savings.report import report_of_dump, report_of_system  # noqa: PLC0415
    from hvolab_vmcore.scan.releases import open_scan  # noqa: PLC0415

    size = None if memory is None else parse_size(memory)
    known = registry().architectures().values()
    names = split_names(feature)
    given = SnapshotOptions(arch, mode, root, vmemmap, names, profile, release, vmcoreinfo, memory_map, image)
    if dump is None:
        found = report_of_system(system, known, size)
    else:
        with progress("savings", quiet=json) as on_step:
            found = report_of_dump(open_scan(dump, given, part or (), on_step), known, size)
    if plot is not None:
        write_plot(found, plot)
    if json:
        print_json(found)
    else:
        show(render(found))
