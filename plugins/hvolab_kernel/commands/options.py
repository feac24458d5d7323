# SPDX-License-Identifier: GPL-2.0-only
"""Arguments and options that commands about kernels share."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer


class Against(enum.Enum):
    """Reference of a comparison."""

    MODEL = "model"
    IMAGE = "image"
    BOTH = "both"
    RULES = "rules"


AgainstOption = Annotated[
    Against | None,
    typer.Option(
        help="Reference: the model of the release, the image's own code, both, or rules alone; by default the model, "
        "for an object both unless --quick is given."
    ),
]
ImageArgument = Annotated[Path, typer.Argument(metavar="IMAGE", help="Kernel image: vmlinuz, Image or vmlinux.")]
ObjectOption = Annotated[
    Path | None,
    typer.Option("--object", metavar="FILE.o", help="Link your mm/hugetlb_vmemmap.o over the image: hvolab build."),
]
CacheOption = Annotated[bool, typer.Option(help="Cache what is read of the image.")]
ScenarioOption = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="Only scenarios whose name contains it; repeat it for several."),
]
QuickOption = Annotated[
    bool,
    typer.Option("--quick", help="Only scenarios of 2 MiB, of 256 KiB, and `optimize` of 1 GiB (with 4 KiB pages)."),
]
EveryOption = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Make every allocation fail in turn, and every pair; by default five of more than 64, and pairs of "
        "five for gigantic pages.",
    ),
]
CallersOption = Annotated[
    bool, typer.Option("--callers", help="Compare hugetlb's functions that call HVO with hvolab's pools instead.")
]
SourceArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Your mm/hugetlb_vmemmap.c.")]
TreeOption = Annotated[
    Path | None,
    typer.Option(
        "--headers",
        "--tree",
        metavar="DIR",
        help="Headers of the image's release, unpacked or installed, or a configured tree (O= too); by default those "
        "in /lib/modules or /usr/src.",
    ),
]
CompilerOption = Annotated[
    str | None,
    typer.Option("--cc", metavar="COMMAND", help="Compiler; by default the image's own, else gcc, else clang."),
]
