"""The hooks that a plugin can implement, and the two markers.

A plugin is a module (or any object) with functions that carry `@hookimpl`, announced by its distribution under the
entry-point group `hvolab`:

    [project.entry-points.hvolab]
    mine = "my_package.plugin"

Names that begin with `hvolab_` are reserved for hooks: a plugin that has any other one, module and class names apart,
is taken to have misspelt a hook, and is left out. Each plugin is called by itself, so that one which fails hides no
other; a wrapper hook would have nothing to wrap and is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import typer

    from hvolab.arch import Architecture

    #: `hvolab.machine.CpuMaker`; machines stand on a floor above this one.
    CpuMaker = Callable[[Any, int], Any]
    #: `hvolab.hvo.EngineMaker`, from above as well.
    EngineMaker = Callable[[Any, Any], Any]

#: The name that pluggy ties markers, hooks and managers together by.
PROJECT: Final = "hvolab"

#: What every hook's name begins with.
HOOK_PREFIX: Final = "hvolab_"

#: Marks a function of a plugin as the implementation of the hook of the same name.
hookimpl: Final = pluggy.HookimplMarker(PROJECT)

#: Marks the specifications below.
hookspec: Final = pluggy.HookspecMarker(PROJECT)


@hookspec
def hvolab_architectures() -> Sequence[Architecture]:
    """Return the architectures that this plugin describes: a sequence, often a tuple of one.

    Called once, when the plugin is loaded. Checked: that the result is a sequence of `hvolab.arch.Architecture`; that
    each one's own `check()` passes; that no name and no alias is declared twice, here or by a plugin loaded earlier.
    One architecture that fails a check leaves the whole plugin out.
    """
    return ()  # never called: pluggy reads the signature


@hookspec
def hvolab_cpus() -> Mapping[str, CpuMaker]:
    """Return kinds of CPU that a machine can have beside the modeled one: a mapping of names to what makes one.

    A maker takes a machine and the number of the CPU, and gives a `hvolab.machine.Cpu`; where it cannot, for want of a
    library or for the machine's target, it raises UsageError and says what to do. Called once, when the plugin is
    loaded: import what is large when a CPU is made. Checked: that the result is a mapping of names to functions, and
    that no name is `model` or one that a plugin loaded earlier has taken.
    """
    return {}  # never called: pluggy reads the signature


@hookspec
def hvolab_engines() -> Mapping[str, EngineMaker]:
    """Return kinds of engine beside hvolab's own model: a mapping of names to what makes one.

    A maker takes a machine, and the path of a kernel image or None, and gives a `hvolab.hvo.HvoEngine`; where it
    cannot, it raises UsageError or another HvolabError and says what to do. Called once, when the plugin is loaded:
    import what is large when an engine is made. Checked as `hvolab_cpus` is: `model` is taken.
    """
    return {}  # never called: pluggy reads the signature


@hookspec
def hvolab_commands(app: typer.Typer) -> None:
    """Add commands, or groups of commands, to hvolab's command line; return nothing.

    Called once for each command line that is built. `app` is the whole command line: add to it by `@app.command()` or
    `app.add_typer()`, and leave alone what is there. Checked: that nothing else was changed; that typer can build each
    added command from its signature; that no name is in use already. If a check fails or the hook raises, all that it
    added is taken back and the plugin is left out.
    """
