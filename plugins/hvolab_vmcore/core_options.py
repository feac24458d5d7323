"""The options that every command which reads a core has."""

from __future__ import annotations

from typing import Annotated

import typer

from .snapshot import SnapshotOptions


def number(text: str) -> int:
    """A number as people write VAs and PAs: 0x… for hex, else decimal; ValueError for anything else."""
    value = int(text, 0)
    if value < 0:
        raise ValueError("a VA or PA is not negative")
    return value


Arch = Annotated[str | None, typer.Option("--arch", help="Architecture, instead of the one of the core's ELF machine.")]
Mode = Annotated[str | None, typer.Option("--mode", help="Paging mode, instead of what VMCOREINFO says.")]
Root = Annotated[
    int | None, typer.Option("--root", metavar="PA", parser=number, help="PA of the root table (swapper_pg_dir).")
]
Vmemmap = Annotated[
    int | None, typer.Option("--vmemmap", metavar="VA", parser=number, help="VA of the struct page of PFN 0.")
]
Features = Annotated[
    list[str] | None, typer.Option("--feature", help="What the machine or boot has; found out where not given.")
]
Profile = Annotated[str | None, typer.Option("--profile", help="linux: what Linux does; strict: what HVO intends.")]
Generation = Annotated[
    str | None, typer.Option("--generation", help="Kernel generation, instead of that of the core's release.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def options_of(
    arch: str | None,
    mode: str | None,
    root: int | None,
    vmemmap: int | None,
    features: list[str] | None,
    profile: str | None,
    generation: str | None,
) -> SnapshotOptions:
    """The options of a command line as the reader takes them."""
    return SnapshotOptions(arch, mode, root, vmemmap, tuple(features or ()), profile, generation)
