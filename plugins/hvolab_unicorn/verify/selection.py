"""Which targets are verified: those that are asked for, as far as the emulator can do them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_unicorn.verify.verification import Verification, verify


@dataclass(frozen=True)
class Selection:
    """What is to be verified.

    targets  targets that can be emulated
    refused  (target, why) of those that cannot
    """

    targets: tuple[Target, ...]
    refused: tuple[tuple[Target, str], ...]


@dataclass(frozen=True)
class Verified:
    """What was verified, and what was not."""

    verifications: tuple[Verification, ...]
    refused: tuple[tuple[Target, str], ...]


def select(arch: list[str] | None, mode: list[str] | None, profile: str | None, feature: list[str] | None) -> Selection:
    """The targets that the options choose.

    Raises UsageError for a name that is not declared, and where nothing that was chosen can be emulated.
    """
    known = registry()
    architectures = [known.architecture(name) for name in arch] if arch else list(known.architectures().values())
    offered = {one.name for architecture in architectures for one in architecture.modes}
    if unknown := [name for name in mode or () if name not in offered]:
        raise UsageError(f"no paging mode is called {unknown[0]!r}", hint=f"there are {', '.join(sorted(offered))}")
    features = tuple(name.strip() for item in feature or () for name in item.split(",") if name.strip())
    targets: list[Target] = []
    refused: list[tuple[Target, str]] = []
    for architecture in architectures:
        names = [one.name for one in architecture.modes]
        for name in [one for one in names if not mode or one in mode]:
            target = architecture.select(name, profile=profile, features=features)
            part = architecture.emulation
            why = "it declares no instructions to emulate" if part is None else part.refusal(target)
            if why:
                refused.append((target, why))
            else:
                targets.append(target)
    if not targets:
        told = "; ".join(f"{target}: {why}" for target, why in refused)
        raise UsageError(f"nothing can be verified: {told}", hint="choose by --arch and --mode, see `hvolab arches`")
    return Selection(tuple(targets), tuple(refused))


def verified(selection: Selection, *, handler: bool, progress: Callable[[str], None]) -> Verified:
    """Verify each target; raises UsageError where unicorn is not installed."""
    done = tuple(verify(target, handler=handler, progress=progress) for target in selection.targets)
    return Verified(done, selection.refused)
