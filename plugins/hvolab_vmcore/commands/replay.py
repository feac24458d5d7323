"""`hvolab replay`: what a kernel did between two memory cores, done again by the engine and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hvolab.cli.options import CpuOption, EngineOption, ImageOption, JsonOption, engine_of
from hvolab_vmcore.commands.core_options import (
    ArchOption,
    FeatureOption,
    ModeOption,
    ProfileOption,
    ReleaseOption,
    RootOption,
    VmemmapOption,
    options_of,
)

if TYPE_CHECKING:
    from hvolab_vmcore.replay.replay import Replay


def replay(
    before: Annotated[
        Path, typer.Argument(metavar="BEFORE", help="Memory core of a kernel: ELF64, may be .xz, .gz or .zst.")
    ],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Later core of the same boot.")],
    *,
    arch: ArchOption = None,
    mode: ModeOption = None,
    root: RootOption = None,
    vmemmap: VmemmapOption = None,
    feature: FeatureOption = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    cpu: CpuOption = "model",
    engine: EngineOption = "model",
    image: ImageOption = None,
    json: JsonOption = False,
) -> None:
    """Do again what a kernel's HVO did between two memory cores, and compare page tables and struct pages.

    Frames are compared modulo frame numbers. With another kernel's code, differences that its variant of HVO has to
    v6.12 are shown as differences of that variant. Exit code 0: no other differences; 1: differences; 2: a core cannot
    be read, or the two are not of one boot.
    """
    # what reads cores waits until a core is to be read
    from hvolab.cli.output import print_json  # noqa: PLC0415
    from hvolab.plugin import registry  # noqa: PLC0415
    from hvolab_vmcore.replay.replay import replay as replay_cores  # noqa: PLC0415

    options = options_of(arch, mode, root, vmemmap, feature, profile, release)
    maker = engine_of(engine, image)
    outcome = replay_cores(
        before,
        after,
        options,
        cpu=registry().cpu(cpu),
        engine=None if maker is None else lambda machine: maker(machine, image),
    )
    if json:
        print_json(outcome.as_dict())
    else:
        _print(outcome)
    if outcome.differences_found > outcome.differences_of_variant:
        raise typer.Exit(1)


def _print(outcome: Replay) -> None:
    """Print the outcome for people."""
    from hvolab.cli.output import show  # noqa: PLC0415
    from hvolab_vmcore.commands.report import size_text  # noqa: PLC0415

    target = outcome.scan.snapshot.target
    words = [outcome.scan.snapshot.kernel or "unknown kernel", target.architecture.name, target.mode.name]
    show(", ".join([*words, *target.features]))
    for action, folios in (("restored", outcome.plan.restored), ("optimized", outcome.plan.optimized)):
        for order in sorted({order for _, order in folios}):
            pfns = [hex(pfn) for pfn, its in folios if its == order]
            listed = ", ".join(pfns[:8]) + (", …" if len(pfns) > 8 else "")
            show(f"{action}: {len(pfns)} of {size_text(target.mode.page_size << order)}, at PFN {listed}")
    if not outcome.plan.restored and not outcome.plan.optimized:
        show("no huge page was optimized or restored between these cores")
    show(f"compared: {outcome.entries_compared} entries, {outcome.struct_pages_compared} struct pages")
    for one in outcome.left_out:
        show(f"left out: {f'{one.count} ' if one.count else ''}{one.what}: {one.why}")
    show(f"differences: {outcome.differences_found or 'none'}")
    if outcome.differences_of_variant:
        variant = outcome.variant.name
        show(f"{outcome.differences_of_variant} of them are of HVO's variant {variant}, which differs from v6.12:")
        for sentence in outcome.variant.departures:
            show(f"  {sentence}")
    for difference in outcome.differences:
        of_variant = f" (of the variant {difference.variant})" if difference.variant else ""
        show(f"{difference.kind} at VA {difference.va:#x}: {difference.text}{of_variant}")
        show(f"  engine {difference.engine}")
        show(f"  kernel {difference.kernel}")
    if outcome.differences_found > len(outcome.differences):
        show(f"… and {outcome.differences_found - len(outcome.differences)} more")
