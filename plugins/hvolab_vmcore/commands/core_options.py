"""The options that every command which reads a core has."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab_vmcore.core.options import SnapshotOptions


def number(text: str) -> int:
    """A number as people write VAs and PAs: 0x… for hex, else decimal; ValueError for anything else."""
    value = int(text, 0)
    if not 0 <= value < 1 << 64:
        raise ValueError("a VA or PA has 64 bits and no sign")
    return value


ArchOption = Annotated[
    str | None,
    typer.Option("--arch", "-a", metavar="NAME", help="Architecture, instead of that of the core's ELF machine."),
]
ModeOption = Annotated[
    str | None, typer.Option("--mode", "-m", metavar="NAME", help="Paging mode, instead of what VMCOREINFO says.")
]
RootOption = Annotated[
    int | None, typer.Option(metavar="PA", parser=number, help="PA of the root table, swapper_pg_dir.")
]
VmemmapOption = Annotated[int | None, typer.Option(metavar="VA", parser=number, help="VA of the struct page of PFN 0.")]
FeatureOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="What the machine or boot has, by default what the entries tell; repeatable."),
]
ProfileOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="linux: what Linux does. strict: what the optimization intends.")
]
ReleaseOption = Annotated[
    str | None, typer.Option(metavar="RELEASE", help="Kernel release, by default that of the core's release.")
]


def options_of(
    arch: str | None,
    mode: str | None,
    root: int | None,
    vmemmap: int | None,
    feature: list[str] | None,
    profile: str | None,
    release: str | None,
) -> SnapshotOptions:
    """The options of a command line as the reader takes them; several features may stand between commas."""
    features = tuple(name.strip() for item in feature or () for name in item.split(",") if name.strip())
    return SnapshotOptions(arch, mode, root, vmemmap, features, profile, release)
