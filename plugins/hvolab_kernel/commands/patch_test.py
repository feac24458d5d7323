# SPDX-License-Identifier: GPL-2.0-only
"""The command `hvolab patch-test`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import ExecutorOption, JobsOption, JsonOption
from hvolab_kernel.commands.options import (
    Against,
    CompilerOption,
    EveryOption,
    ImageArgument,
    QuickOption,
    ScenarioOption,
    TreeOption,
)


def patch_test(
    image: ImageArgument,
    patches: Annotated[list[Path], typer.Argument(metavar="FILE.patch...", help="Patches, in their order.")],
    *,
    headers: TreeOption = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="File to patch; by default mm/hugetlb_vmemmap.c there."),
    ] = None,
    cc: CompilerOption = None,
    scenario: ScenarioOption = None,
    quick: QuickOption = False,
    every: EveryOption = False,
    jobs: JobsOption = None,
    executor: ExecutorOption = None,
    json: JsonOption = False,
) -> None:
    """Apply a series of patches one by one to a copy of mm/hugetlb_vmemmap.c, and show what each of them changes.

    After each patch the copy is compiled, and runs over the image next to the code before the patch, on the same bytes.
    The report has each kind of difference between the two: what the patch changes. It also has the rules that the patch
    breaks, and those that hold again. Only the file and its header are patched; other files of a patch are listed.

    Exit code 0: no patch breaks a rule; 1: one does; 2: one does not apply or compile.

    hvolab patch-test vmlinuz 0001.patch --headers linux-headers --file mm/hugetlb_vmemmap.c
    --scenario "2M boot: optimize twice"
    """
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab_kernel.build.objects import ObjectBuilder  # noqa: PLC0415
    from hvolab_kernel.build.patches import read_patch  # noqa: PLC0415
    from hvolab_kernel.build.tree import open_tree  # noqa: PLC0415
    from hvolab_kernel.commands.compare import Selection, Subject  # noqa: PLC0415
    from hvolab_kernel.commands.runs import RunHistory  # noqa: PLC0415
    from hvolab_kernel.commands.series import run_series, source_in  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    series = [read_patch(path) for path in patches]
    kernel = open_kernel(image)
    builder = ObjectBuilder(kernel, open_tree(kernel, headers), cc)
    selection = Selection(scenario, quick, every)
    with RunHistory(Subject(image.absolute(), against=Against.IMAGE), selection, jobs, executor) as history:
        clean = run_series(history, builder, file or source_in(builder.tree), series, json=json)
    if not clean:
        raise typer.Exit(ExitCode.FINDING)
