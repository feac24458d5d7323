# SPDX-License-Identifier: GPL-2.0-only
"""Options of all commands that read a core."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import complete_architecture, complete_feature, complete_mode


def parse_address(text: str) -> int:
    """Return the VA or PA in `text`, hex with 0x or else decimal; raise ValueError for anything else."""
    value = int(text, 0)
    if not 0 <= value < 1 << 64:
        raise ValueError("a VA or PA has 64 bits and no sign")
    return value


DumpArgument = Annotated[
    Path, typer.Argument(metavar="DUMP", help="Memory dump: ELF, kdump-compressed, LiME or AVML; may be packed.")
]
ArchOption = Annotated[
    str | None,
    typer.Option(
        "--arch",
        "-a",
        metavar="NAME",
        help="Architecture, by default that of the core's ELF machine.",
        autocompletion=complete_architecture,
    ),
]
VmcoreinfoOption = Annotated[
    Path | None,
    typer.Option(
        "--vmcoreinfo", metavar="FILE", help="Text of VMCOREINFO, by default from the dump's notes or memory."
    ),
]
MapOption = Annotated[
    Path | None,
    typer.Option(
        "--map", metavar="FILE", help="Map of raw memory: lines START-LAST[@OFFSET] in hex, or /proc/iomem's."
    ),
]
ImageOption = Annotated[
    Path | None,
    typer.Option(
        "--image", metavar="FILE", help="Image of the dump's kernel (vmlinuz, vmlinux), for what VMCOREINFO lacks."
    ),
]
PartOption = Annotated[
    list[Path] | None,
    typer.Option("--part", metavar="FILE", help="Further file of a dump that makedumpfile --split wrote; repeatable."),
]
ModeOption = Annotated[
    str | None,
    typer.Option(
        "--mode",
        "-m",
        metavar="NAME",
        help="Paging mode, by default from VMCOREINFO.",
        autocompletion=complete_mode,
    ),
]
RootOption = Annotated[
    int | None, typer.Option(metavar="PA", parser=parse_address, help="PA of the root table, swapper_pg_dir.")
]
VmemmapOption = Annotated[
    int | None, typer.Option(metavar="VA", parser=parse_address, help="VA of the struct page of PFN 0.")
]
FeatureOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Feature of the CPU or kernel, by default detected; sme=51 for a C bit; repeatable.",
        autocompletion=complete_feature,
    ),
]
