# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab explore`: the interleavings of actors on a machine."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.options import ArchOption, FeatureOption, JsonOption, ModeOption, ProfileOption, ReleaseOption
from hvolab_explorer.extra import require_greenlet

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
    ),
]
_BoundOption = Annotated[
    int, typer.Option(min=0, metavar="N", help="Most preemptions (bounded), changes of priority (pct).")
]
_SeedOption = Annotated[int, typer.Option(metavar="N", help="Seed of random schedules.")]
_FailOption = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Let up to N allocations fail, each of them any.")
]
_TlbOption = Annotated[
    str,
    typer.Option(metavar="KIND", help="lazy: accesses alone fill a TLB. speculative: a CPU may walk ahead of them."),
]
_AllocationsOption = Annotated[
    str,
    typer.Option(metavar="KIND", help="per-cpu: from a list of the CPU's own. ordered: from one list, in any order."),
]
_PoisonOption = Annotated[bool, typer.Option("--poison", help="Overwrite frames when they are freed.")]
_SecondsOption = Annotated[float, typer.Option(min=0, metavar="N", help="Time for each configuration, at most.")]
_ReplayOption = Annotated[
    str | None, typer.Option(metavar="SCHEDULE", help="Run one schedule, as a finding prints it, and show its steps.")
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
    allocations: _AllocationsOption = "per-cpu",
    poison: _PoisonOption = False,
    seconds: _SecondsOption = 60,
    replay: _ReplayOption = None,
    list_: _ListOption = False,
    json: JsonOption = False,
) -> None:
    """Run actors on a machine in every order that matters, and check each result.

    Without --actors it explores the ready configurations. Each result is complete, with what it takes for granted, or
    not complete, with the reason. A finding is repeated, shrunk, and printed as a schedule for --replay.
    """
    require_greenlet()
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab.cli.options import select_target  # noqa: PLC0415
    from hvolab_explorer.commands import report  # noqa: PLC0415
    from hvolab_explorer.runs import run  # noqa: PLC0415
    from hvolab_explorer.search.spec import SearchSpec  # noqa: PLC0415

    if list_:
        report.show_vocabulary(json=json)
        return
    options = run.world_options(fail, allocations, poison=poison)
    chosen = [one.with_tlb(tlb) for one in run.select(actors, options, split=split)]
    target = select_target(arch, mode, profile, release, feature)
    if replay is not None:
        found = run.repeat(chosen, target, replay)
        report.show_replay(found, target, json=json)
        raise typer.Exit(ExitCode.FINDING if found.texts else 0)
    spec = SearchSpec(search, bound, seed)
    spec.make()  # an error in the options before anything runs
    explored = [run.run(one, target, spec, seconds) for one in chosen]
    report.show(explored, target, json=json)
    if any(one.findings for one in explored):
        raise typer.Exit(ExitCode.FINDING)
