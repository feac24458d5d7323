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

    A kernel of another generation than 6.12 is run beside the engine too, with no allocation failing, and each
    difference is laid to what that generation has or lacks; frames are not compared by number then.

    Exit code 0: no difference, or only those of its generation; 1: another one; 2: wrong use or unreadable input.
    """
    # what runs kernels waits until one is to be run
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab.cli.output import console, print_json, show  # noqa: PLC0415

    from .comparison import Comparer, compare, target_of  # noqa: PLC0415
    from .comparison.choosing import chosen_scenarios  # noqa: PLC0415
    from .comparison.comparing import Case  # noqa: PLC0415
    from .comparison.generations import compare_generation  # noqa: PLC0415
    from .comparison.report import (  # noqa: PLC0415
        Progress,
        comparison_data,
        comparison_view,
        other_generation_data,
        other_generation_view,
        scenarios_data,
        scenarios_view,
    )
    from .features import features_of  # noqa: PLC0415
    from .opening import open_kernel  # noqa: PLC0415

    opened = open_kernel(image, use_cache=cache)
    target = target_of(opened, mode, feature)
    chosen = chosen_scenarios(target, scenario)
    if listed:
        if json:
            print_json(scenarios_data(chosen))
        else:
            show(scenarios_view(chosen))
        return
    features = features_of(opened)
    if features.generation not in {"6.12", None}:
        with Progress(console(error=True), len(chosen)) as progress:
            other = compare_generation(target, opened, chosen, lambda one: progress(Case(one)))
        if json:
            print_json(other_generation_data(opened, features, other))
        else:
            show(other_generation_view(opened, features, other))
        if other.unexplained:
            raise typer.Exit(ExitCode.FINDING)
        return
    comparer = Comparer(target, opened)
    with Progress(console(error=True), len(chosen)) as progress:
        result = compare(comparer, chosen, every=every, told=progress)
    if json:
        print_json(comparison_data(opened, target, comparer.form, result))
    else:
        show(comparison_view(opened, target, comparer.form, result))
    if result.disagreements:
        raise typer.Exit(ExitCode.FINDING)
