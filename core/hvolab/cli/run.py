"""`hvolab run`: build a machine, fill its pools, check, restore, and show what happened."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.options import (
    ArchOption,
    CpuOption,
    EngineOption,
    FeatureOption,
    ImageOption,
    JsonOption,
    ModeOption,
    ProfileOption,
    ReleaseOption,
    engine_of,
    select_target,
)
from hvolab.units import parse_hugepages, parse_size


def run(
    arch: ArchOption = None,
    mode: ModeOption = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    feature: FeatureOption = None,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Memory of the machine, as 512M or 4G.")] = "4G",
    hugepages: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE=COUNT,...",
            help="Huge pages of each pool, as 2M=8,1G=1; by default some that one upper entry maps, "
            "and one of the largest size that fits.",
        ),
    ] = None,
    nodes: Annotated[int, typer.Option(metavar="N", min=1, help="NUMA nodes.")] = 1,
    fail_allocation: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Make the N-th allocation call fail, counted from the pools' first."),
    ] = None,
    cpu: CpuOption = "model",
    engine: EngineOption = "model",
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Build a machine, fill its pools, optimize, check, store to tails, restore, check again: show what happened."""
    from hvolab.cli.errors import ExitCode
    from hvolab.cli.output import print_json
    from hvolab.cli.run_report import show_result
    from hvolab.plugin import registry
    from hvolab.scenario import ScenarioSpec, run_scenario

    spec = ScenarioSpec(
        select_target(arch, mode, profile, release, feature),
        memory=parse_size(memory),
        nodes=nodes,
        hugepages={} if hugepages is None else parse_hugepages(hugepages),
        fail_allocation=fail_allocation,
        cpu=registry().cpu(cpu),
        engine=engine_of(engine, image),
        image=image,
    )
    result = run_scenario(spec)
    if json:
        print_json(result.as_dict())
    else:
        show_result(result)
    if not result.as_declared:
        raise typer.Exit(ExitCode.FINDING)
