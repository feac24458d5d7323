# SPDX-License-Identifier: GPL-2.0-only
"""The command `hvolab watch`."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.options import ExecutorOption, FeatureOption, JobsOption, ModeOption, ReleaseOption
from hvolab.errors import UsageError
from hvolab_kernel.commands.options import (
    Against,
    AgainstOption,
    CompilerOption,
    EveryOption,
    ImageArgument,
    QuickOption,
    ScenarioOption,
    SourceArgument,
    TreeOption,
)


def watch(
    image: ImageArgument,
    source: SourceArgument,
    *,
    headers: TreeOption = None,
    cc: CompilerOption = None,
    mode: ModeOption = None,
    release: ReleaseOption = None,
    feature: FeatureOption = None,
    scenario: ScenarioOption = None,
    quick: QuickOption = False,
    every: EveryOption = False,
    jobs: JobsOption = None,
    executor: ExecutorOption = None,
    against: AgainstOption = None,
    once: Annotated[bool, typer.Option("--once", help="End after the first run.")] = False,
) -> None:
    """Compile your mm/hugetlb_vmemmap.c, run it over an image in every scenario, and repeat that on each save.

    It is `hvolab build` and `hvolab kernel --object` in one. From the second run on, the report begins with the changes
    since the last one: cases that differ now or agree again, by kind, and rules that are broken or hold again. Without
    --against the reference is the model. Headers next to the file are watched, too. A file that cannot be compiled is
    an error until the next save. Ctrl-C ends it.

    Exit code, with --once: 0: no difference, no finding; 1: differences or findings; 2: the file cannot be compiled.

    hvolab watch vmlinuz mm/hugetlb_vmemmap.c --headers linux-headers --once --scenario "2M boot: optimize twice"
    """
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab_kernel.build.objects import ObjectBuilder  # noqa: PLC0415
    from hvolab_kernel.build.tree import open_tree  # noqa: PLC0415
    from hvolab_kernel.commands.compare import Selection, Subject  # noqa: PLC0415
    from hvolab_kernel.commands.runs import RunHistory, repeat  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    kernel = open_kernel(image)
    builder = ObjectBuilder(kernel, open_tree(kernel, headers), cc)
    subject = Subject(image.absolute(), mode=mode, features=tuple(feature or ()), release=release, against=against)
    if against is Against.BOTH:
        raise UsageError("hvolab watch has one reference at a time", hint="choose --against model, image or rules")
    selection = Selection(scenario, quick, every)
    with RunHistory(subject, selection, jobs, executor) as history:
        if once:
            clean = history.run(builder.build(source))
            raise typer.Exit(ExitCode.AS_DECLARED if clean else ExitCode.FINDING)
        repeat(history, builder, source)
