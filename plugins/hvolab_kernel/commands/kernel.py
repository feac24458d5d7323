"""`hvolab kernel`: a kernel's own HVO beside the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import FeatureOption, JsonOption, ModeOption


def kernel(
    image: Annotated[Path, typer.Argument(help="Kernel image: vmlinuz, Image or vmlinux.")],
    *,
    mode: ModeOption = None,
    feature: FeatureOption = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Only scenarios whose name contains it; repeat it for several."),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Make every allocation fail in turn, also where there are thousands; by default five of them."
        ),
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the scenarios, and run none.")] = False,
    cache: Annotated[bool, typer.Option(help="Keep what is read of the image for the next time.")] = True,
    json: JsonOption = False,
) -> None:
    """Run a kernel's own compiled HVO in every scenario, beside the engine, and show every difference.

    Both start from the same bytes, with the same allocator, and each allocation is made to fail in turn. Compared are
    results, every outside call with its arguments, in order, every page-table entry, every byte of every struct page,
    counters and lists. Left out are the lru words of vmemmap pages on their way, through which the kernel links them.

    The engine takes the variant that the kernel has, told by features of its image. A kernel of another release than
    6.12 is first run beside the engine as v6.12, and each difference is laid to what that release has or lacks; no
    allocation fails then, and frames are not compared by number.

    Exit code 0: no difference but those of its release; 1: another one; 2: wrong use or unreadable input.
    """
    # what runs kernels waits until one is to be run
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab_kernel.comparison.output import show_comparison, show_scenarios  # noqa: PLC0415
    from hvolab_kernel.comparison.selection import chosen_scenarios, target_of  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    opened = open_kernel(image, use_cache=cache)
    target = target_of(opened, mode, feature)
    chosen = chosen_scenarios(target, scenario)
    if listed:
        show_scenarios(chosen, json=json)
    elif not show_comparison(opened, target, chosen, every=every, json=json):
        raise typer.Exit(ExitCode.FINDING)
