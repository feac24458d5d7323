# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab replay`: a kernel's HVO operations between two memory cores, repeated by an engine and compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hvolab.cli.errors import ExitCode
from hvolab.cli.options import (
    CpuOption,
    EngineOption,
    ImageOption,
    JsonOption,
    ProfileOption,
    ReleaseOption,
    engine_of,
    split_names,
)
from hvolab.cli.reports import HtmlOption, Reports, TraceOption
from hvolab_vmcore.commands import options

if TYPE_CHECKING:
    from hvolab_vmcore.replay.replay import Replay


def replay(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Memory dump of a kernel, as for `hvolab inspect`.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Later core of the same boot.")],
    *,
    arch: options.ArchOption = None,
    mode: options.ModeOption = None,
    root: options.RootOption = None,
    vmemmap: options.VmemmapOption = None,
    vmcoreinfo: options.VmcoreinfoOption = None,
    memory_map: options.MapOption = None,
    feature: options.FeatureOption = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    cpu: CpuOption = "model",
    engine: EngineOption = "model",
    image: ImageOption = None,
    html: HtmlOption = None,
    trace: TraceOption = None,
    json: JsonOption = False,
) -> None:
    """Repeat what a kernel's HVO did between two memory cores, and compare page tables and struct pages.

    Entries are compared modulo frame numbers. The engine is the model of the cores' kernel release, which is chosen
    by features of the cores. With --html or --trace the engine's operations are recorded, step by step.

    Exit code 0: no difference; 1: differences; 2: a core cannot be read, or the two are not of the same boot; 3: no
    difference, but parts that decide it were not saved.

    hvolab replay before.core after.core
    """
    # imported late: `hvolab --help` does not read cores
    from hvolab.cli.output import print_json, progress, show  # noqa: PLC0415
    from hvolab.plugin import registry  # noqa: PLC0415
    from hvolab_vmcore.commands.replay_report import report_of  # noqa: PLC0415
    from hvolab_vmcore.core.snapshot import SnapshotOptions  # noqa: PLC0415
    from hvolab_vmcore.replay.replay import replay as replay_cores  # noqa: PLC0415

    maker = engine_of(engine, image)
    snapshot = SnapshotOptions(
        arch, mode, root, vmemmap, split_names(feature), profile, release, vmcoreinfo, memory_map
    )
    with (reports := Reports(html=html, trace=trace)) as recorder, progress("replay", quiet=json):
        result = replay_cores(
            before,
            after,
            snapshot,
            cpu=registry().cpu(cpu),
            engine=None if maker is None else lambda machine: maker(machine, image),
            recorder=recorder,
        )
    if json:
        print_json(report_of(result))
    else:
        _print(result)
        for file in reports.files:
            show(f"written          {file}")
    codes = {"differences": ExitCode.FINDING, "cannot tell": ExitCode.UNKNOWN}
    raise typer.Exit(codes.get(result.verdict, ExitCode.AS_DECLARED))


def _print(result: Replay) -> None:
    """Print the result as text."""
    from hvolab.cli.output import show  # noqa: PLC0415
    from hvolab.units import format_size  # noqa: PLC0415
    from hvolab_vmcore.commands.notes import headline  # noqa: PLC0415
    from hvolab_vmcore.replay.plan import by_order  # noqa: PLC0415

    page_size = result.scan.snapshot.target.mode.page_size
    show(headline(result.scan.snapshot))
    for sentence in result.choice.sentences():
        show(sentence)
    for action, folios in result.plan.steps:
        for order, pfns in by_order(folios):
            listed = ", ".join(map(hex, pfns[:8])) + (", …" if len(pfns) > 8 else "")
            show(f"{action}: {len(pfns)} of {format_size(page_size << order)}, at PFN {listed}")
    if not result.plan.folios:
        show("no huge page was optimized or restored between these cores")
    show(f"compared: {result.entries_compared} entries, {result.struct_pages_compared} struct pages")
    for one in result.left_out:
        show(f"left out: {f'{one.count} ' if one.count else ''}{one.what}: {one.why}")
    for text in result.unsaved:
        show(f"not saved: {text}")
    found = result.differences_found or ("none in what was saved: cannot tell" if result.unsaved else "none")
    show(f"differences: {found}")
    for sentence in other_release(result):
        show(sentence)
    for difference in result.differences:
        show(f"{difference.kind} at VA {difference.va:#x}: {difference.text}")
        show(f"  engine {difference.engine}")
        show(f"  kernel {difference.kernel}")
    if result.differences_found > len(result.differences):
        show(f"… and {result.differences_found - len(result.differences)} more")


def other_release(result: Replay) -> Iterator[str]:
    """Yield how the engine's release differs from that of the cores, if it is another one."""
    engine, core = result.release, result.choice.release
    more, fewer = engine.differences(core)
    if more or fewer:
        yield f"the engine is of release {engine}, the cores of {core}:"
        yield from (f"  only {engine}: {change}" for change in more)
        yield from (f"  only {core}: {change}" for change in fewer)
