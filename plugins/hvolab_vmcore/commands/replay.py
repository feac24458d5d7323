# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab replay`: a kernel's HVO operations between two memory cores, repeated by an engine and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hvolab.cli.options import CpuOption, EngineOption, ImageOption, JsonOption, ProfileOption, engine_of, split_names
from hvolab.release import departures_of
from hvolab_vmcore.commands import options

if TYPE_CHECKING:
    from hvolab_vmcore.replay.replay import Replay


def replay(
    before: Annotated[
        Path, typer.Argument(metavar="BEFORE", help="Memory core of a kernel: ELF64, may be .xz, .gz or .zst.")
    ],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Later core of the same boot.")],
    *,
    arch: options.ArchOption = None,
    mode: options.ModeOption = None,
    root: options.RootOption = None,
    vmemmap: options.VmemmapOption = None,
    feature: options.FeatureOption = None,
    profile: ProfileOption = None,
    release: options.ReleaseOption = None,
    cpu: CpuOption = "model",
    engine: EngineOption = "model",
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Repeat what a kernel's HVO did between two memory cores, and compare page tables and struct pages.

    Entries are compared modulo frame numbers. With another kernel's code, differences between its HVO variant and
    v6.12 are marked. Exit code 0: no unmarked difference; 1: differences; 2: a core cannot be read, or the two are
    not of the same boot.
    """
    # imported late: `hvolab --help` does not read cores
    from hvolab.cli.output import print_json  # noqa: PLC0415
    from hvolab.plugin import registry  # noqa: PLC0415
    from hvolab_vmcore.core.snapshot import SnapshotOptions  # noqa: PLC0415
    from hvolab_vmcore.replay.replay import replay as replay_cores  # noqa: PLC0415

    maker = engine_of(engine, image)
    result = replay_cores(
        before,
        after,
        SnapshotOptions(arch, mode, root, vmemmap, split_names(feature), profile, release),
        cpu=registry().cpu(cpu),
        engine=None if maker is None else lambda machine: maker(machine, image),
    )
    if json:
        print_json(result.as_dict())
    else:
        _print(result)
    if result.differences_found > result.differences_of_variant:
        raise typer.Exit(1)


def _print(result: Replay) -> None:
    """Print the result as text."""
    from hvolab.cli.output import show  # noqa: PLC0415
    from hvolab.units import format_size  # noqa: PLC0415
    from hvolab_vmcore.commands.report import headline  # noqa: PLC0415
    from hvolab_vmcore.replay.plan import by_order  # noqa: PLC0415

    page_size = result.scan.snapshot.target.mode.page_size
    show(headline(result.scan.snapshot))
    for action, folios in (("restored", result.plan.restored), ("optimized", result.plan.optimized)):
        for order, pfns in by_order(folios):
            listed = ", ".join(map(hex, pfns[:8])) + (", …" if len(pfns) > 8 else "")
            show(f"{action}: {len(pfns)} of {format_size(page_size << order)}, at PFN {listed}")
    if not result.plan.restored and not result.plan.optimized:
        show("no huge page was optimized or restored between these cores")
    show(f"compared: {result.entries_compared} entries, {result.struct_pages_compared} struct pages")
    for one in result.left_out:
        show(f"left out: {f'{one.count} ' if one.count else ''}{one.what}: {one.why}")
    show(f"differences: {result.differences_found or 'none'}")
    if result.differences_of_variant:
        variant = result.release.name
        show(f"{result.differences_of_variant} of them are due to HVO variant {variant}, which differs from v6.12:")
        for sentence in departures_of(result.release):
            show(f"  {sentence}")
    for difference in result.differences:
        cause = f" (due to variant {difference.variant})" if difference.variant else ""
        show(f"{difference.kind} at VA {difference.va:#x}: {difference.text}{cause}")
        show(f"  engine {difference.engine}")
        show(f"  kernel {difference.kernel}")
    if result.differences_found > len(result.differences):
        show(f"… and {result.differences_found - len(result.differences)} more")
