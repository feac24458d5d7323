"""Options that several commands take, and the choice of a target from them."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hvolab.arch import Architecture, Target
from hvolab.errors import UsageError
from hvolab.plugin import registry

if TYPE_CHECKING:
    from hvolab.hvo import EngineMaker


def _architecture_names(incomplete: str) -> list[str]:
    """For the shell's completion."""
    return [name for name in registry().architectures() if name.startswith(incomplete)]


ArchOption = Annotated[
    str | None,
    typer.Option(
        "--arch",
        "-a",
        metavar="NAME",
        help="Architecture, by name or alias; by default this host's, if it is described. See `hvolab arches`.",
        autocompletion=_architecture_names,
    ),
]
ModeOption = Annotated[
    str | None, typer.Option("--mode", "-m", metavar="NAME", help="Paging mode; by default the architecture's first.")
]
ProfileOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="linux: what Linux does. strict: what the optimization intends."),
]
ReleaseOption = Annotated[
    str | None, typer.Option(metavar="RELEASE", help="Kernel release whose bits are used, as 6.12.")
]
FeatureOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="What the machine or boot has; repeat it, or put commas between several."),
]


def _cpu_names(incomplete: str) -> list[str]:
    """For the shell's completion."""
    return [name for name in registry().cpus() if name.startswith(incomplete)]


CpuOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="model: CPUs in Python. emulated: every access, entry and flush by the architecture's own instructions.",
        autocompletion=_cpu_names,
    ),
]


def _engine_names(incomplete: str) -> list[str]:
    """For the shell's completion."""
    return [name for name in registry().engines() if name.startswith(incomplete)]


EngineOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="model: hvolab's own engine. kernel: a kernel's own compiled code, of the image that --image names.",
        autocompletion=_engine_names,
    ),
]
ImageOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Kernel image for --engine kernel.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def engine_of(name: str, image: Path | None) -> EngineMaker | None:
    """What makes the engine that the options choose, None for the model.

    Raises UsageError for a kind that there is not, and for an image that the model has no use for.
    """
    maker = registry().engine(name)
    if maker is None and image is not None:
        raise UsageError("an image is of no use to hvolab's own engine", hint="add --engine kernel")
    return maker


def host_architecture() -> Architecture:
    """The architecture of this host; the first by name where no plugin describes it.

    Raises UsageError where no plugin describes any.
    """
    known = registry().architectures()
    host = platform.machine().casefold()
    for architecture in known.values():
        if host in {name.casefold() for name in (architecture.name, *architecture.aliases)}:
            return architecture
    for architecture in known.values():
        return architecture
    raise UsageError("no plugin describes an architecture", hint="install or repair one; warnings name broken ones")


def select_target(
    arch: str | None, mode: str | None, profile: str | None, release: str | None, feature: list[str] | None
) -> Target:
    """The target that the options choose; raises UsageError for a name that is not declared."""
    architecture = host_architecture() if arch is None else registry().architecture(arch)
    features = tuple(name.strip() for item in feature or () for name in item.split(",") if name.strip())
    return architecture.select(mode, profile=profile, release=release, features=features)


def target_as_dict(target: Target) -> dict[str, object]:
    """What was chosen, for JSON."""
    return {
        "architecture": target.architecture.name,
        "mode": target.mode.name,
        "profile": target.profile,
        "release": target.release,
        "features": list(target.features),
    }


def target_in_words(target: Target) -> str:
    """What was chosen, for people: architecture, mode, profile, release and features."""
    words = [target.architecture.name, target.mode.name, f"profile {target.profile}", f"kernel {target.release}"]
    return ", ".join([*words, *target.features])
