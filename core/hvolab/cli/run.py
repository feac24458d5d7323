# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab run`: build a machine, operate on its pools, check its invariants, show the result."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from hvolab.cli.options import (
    ArchOption,
    BootOption,
    CpuOption,
    EngineOption,
    FeatureOption,
    HugepagesOption,
    ImageOption,
    JsonOption,
    ModeOption,
    ProfileOption,
    ReleaseOption,
    engine_setup,
    select_target,
)
from hvolab.cli.reports import HtmlOption, PerfettoOption, Reports, TraceOption
from hvolab.units import parse_hugepages, parse_size

CpusOption = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, help="CPUs; all but the first read the struct pages of a folio before HVO changes them."
    ),
]
VmemmapOption = Annotated[
    Literal["boot", "buddy", "self-hosted"],
    typer.Option(metavar="KIND", help="Frames behind the vmemmap: boot, buddy (allocated) or self-hosted."),
]

FailOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Make the N-th allocation call fail, counted from the pools' first."),
]

CheckPagesOption = Annotated[
    Literal["on", "off"],
    typer.Option(
        metavar="on|off",
        help="Check struct pages that are freed, and keep blocks with a bad one, as init_on_alloc=1 makes a kernel do.",
    ),
]

DoOption = Annotated[
    str | None,
    typer.Option(
        metavar="OPERATIONS",
        help="Operations on the pools, as 'optimize, demote 1G, dissolve, shrink'; by default optimize, shrink.",
    ),
]


class RunCommand(TyperCommand):
    """Command whose help ends with the operations of `--do`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # whose classes these are differs between typer's releases
        """Write the help; the table of operations is loaded for it alone."""
        from hvolab.scenario import OPERATIONS

        lines = [f"{operation.syntax}: {operation.help}" for operation in OPERATIONS.values()]
        self.epilog = "\n\n".join(["Operations of --do, separated by commas; COUNT is 1 by default:", *lines])
        super().format_help(ctx, formatter)


def run(
    arch: ArchOption = None,
    mode: ModeOption = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    feature: FeatureOption = None,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Memory of the machine, as 512M or 4G.")] = "4G",
    hugepages: HugepagesOption = None,
    boot: BootOption = None,
    nodes: Annotated[int, typer.Option(metavar="N", min=1, help="NUMA nodes.")] = 1,
    cpus: CpusOption = 1,
    vmemmap: VmemmapOption = "boot",
    fail_allocation: FailOption = None,
    cpu: CpuOption = "model",
    engine: EngineOption = "model",
    image: ImageOption = None,
    check_pages: CheckPagesOption = "on",
    do: DoOption = None,
    html: HtmlOption = None,
    trace: TraceOption = None,
    perfetto: PerfettoOption = None,
    json: JsonOption = False,
) -> None:
    """Build a machine, fill its pools, optimize, check, store to tails, restore, check again: show the result.

    hvolab run --arch x86_64 --memory 512M --hugepages 2M=4

    hvolab run --arch arm64 --memory 512M --do "boot 32M 2, demote 32M, dissolve 2M 3, shrink" --json
    """
    from hvolab.cli.errors import ExitCode
    from hvolab.cli.output import print_json, progress
    from hvolab.cli.run_report import show_result
    from hvolab.machine import VmemmapBacking
    from hvolab.plugin import registry
    from hvolab.scenario import BootSettings, ScenarioSpec, parse_boot, parse_operations, run_data, run_scenario

    setup = engine_setup(engine, image, release)
    target = select_target(arch, mode, profile, release, feature, setup)
    spec = ScenarioSpec(
        target,
        memory=parse_size(memory),
        nodes=nodes,
        boot=BootSettings() if boot is None else parse_boot(boot, target, nodes),
        cpus=cpus,
        vmemmap=VmemmapBacking(vmemmap),
        hugepages={} if hugepages is None else parse_hugepages(hugepages),
        fail_allocation=fail_allocation,
        cpu=registry().cpu(cpu),
        engine=setup,
        operations=() if do is None else parse_operations(do, target),
        check_pages=check_pages == "on",
    )
    with (
        (reports := Reports(html=html, trace=trace, perfetto=perfetto)) as recorder,
        progress("build the machine", quiet=json) as on_step,
    ):
        result = run_scenario(spec, recorder, on_step=on_step)
    if json:
        print_json(run_data(result))
    else:
        show_result(result, reports.files)
    if not result.as_declared:
        raise typer.Exit(ExitCode.FINDING)
