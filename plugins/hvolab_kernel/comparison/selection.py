"""What a comparison is made for: the target that a kernel image is for, and which scenarios."""

from __future__ import annotations

from collections.abc import Sequence

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_kernel.comparison.scenarios import Scenario, scenarios_of
from hvolab_kernel.running.initial_state import modes_of
from hvolab_vmlinux.kernel import Kernel

#: The architecture of each machine that an ELF file can name, by a name or alias of it.
_ARCHITECTURES = {"EM_X86_64": "x86_64", "EM_AARCH64": "arm64", "EM_RISCV": "riscv64"}


def target_of(kernel: Kernel, mode: str | None = None, features: Sequence[str] | None = None) -> Target:
    """The target that a kernel runs on, in a paging mode; by default the first of those that it is built for.

    Raises UsageError for what is not declared.
    """
    architecture = registry().architecture(_ARCHITECTURES[kernel.image.machine])
    chosen = tuple(name.strip() for item in features or () for name in item.split(",") if name.strip())
    built_for = modes_of(kernel, architecture.modes)
    if mode is None and built_for:
        mode = built_for[0].name
    return architecture.select(mode, features=chosen)


def target_of_release(target: Target, release: str | None) -> Target:
    """The target with the bits of a kernel release, where the architecture declares that they differ."""
    architecture = target.architecture
    if release not in architecture.releases:
        return target
    return architecture.select(target.mode.name, profile=target.profile, release=release, features=target.features)


def chosen_scenarios(target: Target, wanted: Sequence[str] | None) -> tuple[Scenario, ...]:
    """The scenarios whose names contain one of the texts, from the beginning of a word; all where none is given.

    Raises UsageError for a text that none contains.
    """
    known = scenarios_of(target)
    if not wanted:
        return known
    for text in wanted:
        if not any(_names(one, text) for one in known):
            raise UsageError(
                f"no scenario's name contains {text!r}", hint="hvolab kernel IMAGE --list shows their names"
            )
    return tuple(one for one in known if any(_names(one, text) for text in wanted))


def _names(scenario: Scenario, text: str) -> bool:
    """Whether the scenario's name contains the text, and a word begins there: `2M` does not choose `32M`."""
    return f" {text}" in f" {scenario.name}"
