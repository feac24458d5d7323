# SPDX-License-Identifier: GPL-2.0-only
"""Options of several commands, and the selection of a target from them."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hvolab.arch import Architecture, Target
from hvolab.cli.engine_file import PATIENCE, engine_in_file, is_engine_file
from hvolab.errors import UsageError
from hvolab.plugin import PluginRegistry, registry
from hvolab.plugin.checks import names_of
from hvolab.release import DEFAULT, RELEASES, KernelRelease

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hvolab.hvo import EngineMaker, EngineSetup


def _completion(names: Callable[[PluginRegistry], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return the function with which the shell completes one of these names."""
    return lambda incomplete: [name for name in names(registry()) if name.startswith(incomplete)]


def completion_by_architecture(
    names: Callable[[Architecture], Iterable[str]],
) -> Callable[[typer.Context, str], list[str]]:
    """Return the function with which the shell completes a name of the architectures before it, else of any."""
    return lambda ctx, incomplete: sorted(
        {name for one in _chosen(ctx) for name in names(one) if name.startswith(incomplete)}
    )


def _chosen(ctx: typer.Context) -> Iterable[Architecture]:
    """Return the architectures that the option --arch before the cursor names, else all."""
    given = ctx.params.get("arch") or ()
    wanted = {given} if isinstance(given, str) else set(given)
    known = registry().architectures().values()
    return [one for one in known if wanted & {*names_of(one)}] or known


complete_architecture = _completion(PluginRegistry.architectures)
complete_mode = completion_by_architecture(lambda one: (mode.name for mode in one.modes))
complete_feature = completion_by_architecture(lambda one: (feature.name for feature in one.features))
complete_release = _completion(lambda _: map(str, RELEASES))


ArchOption = Annotated[
    str | None,
    typer.Option(
        "--arch",
        "-a",
        metavar="NAME",
        help="Architecture, by name or alias; by default the image's or this host's. See `hvolab arches`.",
        autocompletion=complete_architecture,
    ),
]
ModeOption = Annotated[
    str | None,
    typer.Option(
        "--mode",
        "-m",
        metavar="NAME",
        help="Paging mode; by default the architecture's first.",
        autocompletion=complete_mode,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="linux: the bits that Linux uses. strict: the bits that the optimization needs.",
        autocompletion=completion_by_architecture(lambda one: one.profiles),
    ),
]
ReleaseOption = Annotated[
    str | None,
    typer.Option(
        metavar="RELEASE",
        help=f"Kernel release to model: {', '.join(map(str, RELEASES))}. "
        f"By default that of the image or core, else {DEFAULT}. See `hvolab releases`.",
        autocompletion=complete_release,
    ),
]
FeatureOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Feature of the machine or boot; repeat it, or put commas between several.",
        autocompletion=complete_feature,
    ),
]
HugepagesOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE=COUNT,...",
        help="Huge pages of each pool, as 2M=8,1G=1, or by node, as 2M=0:2,1:3; by default some that one upper entry "
        "maps, and one of the largest size that fits.",
    ),
]
BootOption = Annotated[
    str | None,
    typer.Option(
        metavar="PARAMETERS",
        help="Parameters of the kernel's command line, as 'hugetlb_free_vmemmap=off hugepagesz=1G hugepages=0:1,1:2': "
        "HVO is on by default, and pages are allocated before other operations.",
    ),
]
CpuOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="model: CPUs in Python. emulated: every access, entry and flush by the architecture's own instructions.",
        autocompletion=_completion(PluginRegistry.cpus),
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="model: hvolab's own engine. kernel: a kernel's own compiled code, of the image that --image names. "
        "FILE.py:NAME: a class in a file, called with the machine.",
        autocompletion=_completion(PluginRegistry.engines),
    ),
]
ImageOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Kernel image for --engine kernel.")]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes; by default one for each CPU, if that is faster."),
]
ExecutorOption = Annotated[
    str | None, typer.Option(metavar="dask://HOST:PORT", help="Dask cluster whose workers share the work.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def engine_of(name: str, image: Path | None) -> EngineMaker | None:
    """Return the maker of the engine, None for the model.

    Raises UsageError for an image without --engine kernel, and for a file that does not define the engine.
    """
    maker = engine_in_file(name) if is_engine_file(name) else registry().engine(name)
    if is_engine_file(name) and image is not None:
        raise UsageError("--image requires --engine kernel", hint="leave out --image")
    if maker is None and image is not None:
        raise UsageError("--image requires --engine kernel", hint="add --engine kernel, or leave out --image")
    return maker


def engine_setup(name: str, image: Path | None, release: str | None) -> EngineSetup | None:
    """Return the engine and what its machine must be, None for the model; raises UsageError as `engine_of` does.

    release  the release that the user names, which an image may contradict
    """
    maker = engine_of(name, image)
    if maker is None:
        return None
    from hvolab.hvo import EngineSetup, ImageEngineMaker

    if isinstance(maker, ImageEngineMaker):
        return maker.setup(image, release)
    patience = PATIENCE if is_engine_file(name) else 0
    return EngineSetup(lambda machine: maker(machine, image), patience=patience)


def host_architecture() -> Architecture:
    """Return the architecture of this host, or the first by name; raises UsageError if no plugin describes any."""
    known = registry().architectures().values()
    host = platform.machine().casefold()
    own = (each for each in known if host in {name.casefold() for name in names_of(each)})
    architecture = next(own, next(iter(known), None))
    if architecture is None:
        raise UsageError("no plugin describes an architecture", hint="install or repair one; warnings name broken ones")
    return architecture


def split_names(values: list[str] | None) -> tuple[str, ...]:
    """Return the names in a repeatable option or argument; one value may have several, separated by commas."""
    return tuple(name.strip() for value in values or () for name in value.split(",") if name.strip())


def select_target(
    arch: str | None,
    mode: str | None,
    profile: str | None,
    release: str | None,
    feature: list[str] | None,
    setup: EngineSetup | None = None,
) -> Target:
    """Return the target that the options and an engine select; raises UsageError for a name that is not declared."""
    kernel: str | KernelRelease | None = release
    if setup is not None:
        arch, kernel = arch or setup.architecture, setup.release or release
    architecture = host_architecture() if arch is None else registry().architecture(arch)
    if setup is not None and setup.architecture == architecture.name:
        mode = mode or setup.mode
    return architecture.select(mode, profile=profile, release=kernel, features=split_names(feature))


def target_in_words(target: Target) -> str:
    """Return the selection as text: architecture, mode, profile, release and features."""
    names = (target.architecture.name, target.mode.name, f"profile {target.profile}", f"kernel {target.release}")
    return ", ".join((*names, *target.features))
