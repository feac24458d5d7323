"""`hvolab kernel`: comparison of a kernel's own HVO with the engine."""

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
        typer.Option("--all", help="Make every allocation fail in turn; by default five where there are more than 64."),
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the scenarios and exit.")] = False,
    cache: Annotated[bool, typer.Option(help="Cache what is read of the image.")] = True,
    json: JsonOption = False,
) -> None:
    """Run a kernel's own compiled HVO in every scenario, compare it with the engine, and show every difference.

    Both start from the same bytes, with the same allocator, and each allocation fails in turn. The comparison covers
    results, all calls out of HVO with their arguments, in order, all page-table entries, all bytes of all struct pages,
    counters and lists. It omits `page->lru` of vmemmap pages that are being allocated or freed: the kernel links them
    through it.

    The engine follows the variant of HVO that the features of the image identify; the report begins with the
    differences of that variant from v6.12.

    Exit code 0: no difference; 1: differences; 2: wrong use or unreadable input.
    """
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab_kernel.comparison.report import show_comparison, show_scenarios  # noqa: PLC0415
    from hvolab_kernel.comparison.selection import chosen_scenarios, target_of  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    opened = open_kernel(image, use_cache=cache)
    target = target_of(opened, mode, feature)
    chosen = chosen_scenarios(target, scenario)
    if listed:
        show_scenarios(chosen, json=json)
    elif not show_comparison(opened, target, chosen, every=every, json=json):
        raise typer.Exit(ExitCode.FINDING)
