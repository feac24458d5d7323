# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab explore`: the interleavings of actors on a machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import (
    ArchOption,
    EngineOption,
    ExecutorOption,
    FeatureOption,
    ImageOption,
    JobsOption,
    JsonOption,
    ModeOption,
    ProfileOption,
    ReleaseOption,
    select_target,
)
from hvolab.cli.reports import HtmlOption, Reports, TraceOption
from hvolab.errors import UsageError
from hvolab_explorer.extra import require_greenlet


def _completion(module: str, names: str) -> Callable[[str], list[str]]:
    """Return the function with which the shell completes one of the names in a module, which it imports."""
    return lambda incomplete: [name for name in getattr(import_module(module), names) if name.startswith(incomplete)]


_ActorsOption = Annotated[
    str | None,
    typer.Option("--actors", metavar="TEXT", help="Actors, one for each CPU, as `optimize A, taker A.64`; see --list."),
]
_SplitOption = Annotated[
    bool, typer.Option("--split", help="Split the leaves that map the vmemmap before the actors begin.")
]
_SearchOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="dpor: each class of schedules once. bounded: up to --bound preemptions. pct: random priorities, with "
        "--bound changes. random: any. portfolio: these four in turn.",
        autocompletion=_completion("hvolab_explorer.search.spec", "SEARCHES"),
    ),
]
_BoundOption = Annotated[
    int, typer.Option(min=0, metavar="N", help="Most preemptions (bounded), changes of priority (pct).")
]
_SeedOption = Annotated[int, typer.Option(metavar="N", help="Seed of random schedules.")]
_FailOption = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Let up to N allocations fail, or updates of entries that can be lost."),
]
_TlbOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="lazy: accesses alone fill a TLB. speculative: a CPU may walk ahead of them.",
        autocompletion=_completion("hvolab_explorer.runs.configuration", "TLB_KINDS"),
    ),
]
_MemoryOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="strong: sequentially consistent. weak: stores wait in buffers, loads may be early.",
        autocompletion=_completion("hvolab_explorer.runs.configuration", "MEMORY_KINDS"),
    ),
]
_AllocationsOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="per-cpu: from a list of the CPU's own. ordered: from one list, in any order.",
        autocompletion=_completion("hvolab_explorer.runs.run", "ALLOCATION_KINDS"),
    ),
]
_PoisonOption = Annotated[bool, typer.Option("--poison", help="Overwrite frames when they are freed.")]
_SecondsOption = Annotated[float, typer.Option(min=0, metavar="N", help="Time for each configuration, at most.")]
_ReplayOption = Annotated[
    str | None, typer.Option(metavar="SCHEDULE", help="Run one schedule, as a finding prints it, and show its steps.")
]
_CampaignOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Explore on each architecture and release, unless --arch and --release name them, and keep results and "
        "report in a folder. The same command continues an interrupted campaign.",
    ),
]
_ObjectOption = Annotated[
    Path | None, typer.Option("--object", metavar="FILE.o", help="Link this mm/hugetlb_vmemmap.o over the image.")
]
_ListOption = Annotated[bool, typer.Option("--list", help="List ready configurations and actors.")]


def explore(
    *,
    actors: _ActorsOption = None,
    arch: ArchOption = None,
    mode: ModeOption = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    feature: FeatureOption = None,
    split: _SplitOption = False,
    search: _SearchOption = "dpor",
    bound: _BoundOption = 2,
    seed: _SeedOption = 0,
    fail: _FailOption = None,
    tlb: _TlbOption = "lazy",
    memory: _MemoryOption = "strong",
    allocations: _AllocationsOption = "per-cpu",
    poison: _PoisonOption = False,
    seconds: _SecondsOption = 60,
    replay: _ReplayOption = None,
    jobs: JobsOption = None,
    executor: ExecutorOption = None,
    campaign: _CampaignOption = None,
    engine: EngineOption = "model",
    image: ImageOption = None,
    object_: _ObjectOption = None,
    list_: _ListOption = False,
    html: HtmlOption = None,
    trace: TraceOption = None,
    json: JsonOption = False,
) -> None:
    """Run actors on a machine in every order that matters, and check each result.

    Without --actors it explores the ready configurations. Each result is complete, with what it takes for granted, or
    not complete, with the reason. A finding is repeated, shrunk, and printed as a schedule for --replay, with the last
    step at which another order could prevent it marked.

    With --html or --trace the schedule of --replay or the first finding is recorded, step by step, with a lane for each
    CPU; without a finding, the actors of the first configuration are, one after the other.

    hvolab explore --list

    hvolab explore --arch riscv --actors "optimize A, taker A.64"
    """
    require_greenlet()
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab_explorer.commands import report  # noqa: PLC0415
    from hvolab_explorer.commands.spread import Spread, explore_everywhere, explore_or_replay  # noqa: PLC0415
    from hvolab_explorer.runs import run  # noqa: PLC0415
    from hvolab_explorer.search.spec import SearchSpec  # noqa: PLC0415

    if list_:
        report.show_vocabulary(json=json)
        return
    options = partial(run.world_options, fail=fail, allocations=allocations, poison=poison)
    code = run.code_engine(engine, image, object_, release)
    chosen = [one.with_tlb(tlb).with_memory(memory) for one in run.select(actors, options, split=split, code=code)]
    spread = Spread(SearchSpec(search, bound, seed), seconds, jobs, executor)
    choice = arch, mode, profile, release, feature
    setup = None if code is None else code.setup
    if campaign is not None and replay is not None:
        raise UsageError("--replay with --campaign", rule="a schedule is of one target", hint="leave one of them out")
    if campaign is not None and (html or trace):
        raise UsageError("a campaign has no timeline", hint="replay one of its findings: --replay with --html")
    if campaign is not None:
        if setup is not None:  # the machine is that of the image
            choice = setup.architecture, mode or setup.mode, profile, str(setup.release), feature
        found = explore_everywhere(chosen, choice, spread, campaign, json=json)
    else:
        reports = Reports(html=html, trace=trace)
        found = explore_or_replay(chosen, select_target(*choice, setup), spread, replay, reports, json=json)
    if found:
        raise typer.Exit(ExitCode.FINDING)
