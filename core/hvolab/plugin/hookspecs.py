# SPDX-License-Identifier: GPL-2.0-only
"""The hooks that a plugin can implement, and the two markers.

A plugin is a module (or any object) with functions that carry `@hookimpl`, announced by its distribution under the
entry-point group `hvolab`:

    [project.entry-points.hvolab]
    mine = "my_package.plugin"

Names that begin with `hvolab_` are reserved for hooks: any other such name, of modules and classes apart, is taken for
a misspelt hook, and the plugin is left out. Each plugin is called by itself, so that one that fails hides no other; a
wrapper hook would have nothing to wrap and is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import typer

    from hvolab.arch import Architecture

    #: `hvolab.machine.CpuMaker`; the machine package imports this one.
    CpuMaker = Callable[[Any, int], Any]
    #: `hvolab.hvo.EngineMaker`, for the same reason.
    EngineMaker = Callable[[Any, Any], Any]
    #: Handler of a kernel function: takes a `hvolab.machine.Machine` and six arguments, returns the result or None.
    StubHandler = Callable[..., int | None]
    #: Reader of a format of memory dumps: takes the files, returns the dump, or None for a file of another format.
    DumpReader = Callable[[Any], Any]
    #: Maker of an explorer's actor: `hvolab_explorer.actors.kind.ActorKind`, or a function that takes what it takes.
    ActorMaker = Callable[..., Callable[[], object]]
    #: Maker of a `hvolab.scenario.Recorder`, which writes one kind of report.
    ReportMaker = Callable[[], Any]

#: The project name of markers, hooks and managers in pluggy.
PROJECT: Final = "hvolab"
#: Prefix of every hook's name.
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
    """Return the maker of each kind of CPU that the plugin adds, by its name.

    A maker takes a machine and the number of the CPU, and returns a `hvolab.machine.Cpu`; it raises UsageError with a
    hint if a library is missing or the machine's target is not supported. Called once, when the plugin is loaded:
    import large libraries when a CPU is made. Checked: that the result is a mapping of names to functions, and that no
    name is `model` or that of a plugin loaded earlier.
    """
    return {}  # never called: pluggy reads the signature


@hookspec
def hvolab_engines() -> Mapping[str, EngineMaker]:
    """Return the maker of each kind of engine that the plugin adds, by its name.

    A maker takes a machine, and the path of a kernel image or None, and returns a `hvolab.hvo.HvoEngine`, or raises
    UsageError or another HvolabError with a hint. One with a method `setup()`, a `hvolab.hvo.ImageEngineMaker`, also
    says what the machine must be for an image. Called once, when the plugin is loaded: import large libraries when
    an engine is made. Checked like `hvolab_cpus`: `model` is taken.
    """
    return {}  # never called: pluggy reads the signature


@hookspec
def hvolab_stubs() -> Mapping[str, StubHandler]:
    """Return the functions of kernels that the plugin performs when a kernel's own code calls them, by their names.

    A handler takes the machine, and the first six arguments of the function as unsigned numbers; it returns the result,
    or None where the function has none. It replaces the function in every kernel that has it, or in whose place a
    linked object has a trap; functions that hvolab itself performs keep their stubs. Called once, when the plugin is
    loaded. Checked: that the result is a mapping of names to functions, and that no plugin loaded earlier has a name.
    """
    return {}  # never called: pluggy reads the signature


@hookspec
def hvolab_dump_formats() -> Mapping[str, DumpReader]:
    """Return the reader of each format of memory dumps that the plugin adds, by the format's name.

    A reader takes the files, a `hvolab_vmcore.files.dump.DumpInput`, and returns a `hvolab_vmcore.files.dump.Dump`,
    whose memory is a `hvolab.machine.MemorySource`; or None for a file of another format. It raises CoreFileError for a
    damaged file. Readers are tried in the order of loading; the first that returns a dump is used. Called once, when
    the plugin is loaded: import large libraries when a dump is read. Checked like `hvolab_stubs`.
    """
    return {}  # never called: pluggy reads the signature


@hookspec
def hvolab_actors() -> Mapping[str, ActorMaker]:
    """Return the actors that the plugin adds to the explorer, by the names that they have in configurations.

    A maker is a `hvolab_explorer.actors.kind.ActorKind`; or a function that takes the world, the number of the actor's
    CPU and the struct pages that it is given, and returns the actor's program: a function without arguments. Called
    once, when the plugin is loaded. The names of the explorer's own actors are taken. Checked like `hvolab_stubs`.
    """
    return {}  # never called: pluggy reads the signature


@hookspec
def hvolab_reports() -> Mapping[str, ReportMaker]:
    """Return the kinds of reports that the plugin writes of what happens on machines, by the names of their options.

    A maker takes nothing and returns a `hvolab.scenario.Recorder`; it raises UsageError with a hint if a library is
    missing. `html` is written by --html of several commands. Called once, when the plugin is loaded: import large
    libraries when a recorder is made. Checked like `hvolab_stubs`.
    """
    return {}  # never called: pluggy reads the signature


@hookspec
def hvolab_commands(app: typer.Typer) -> None:
    """Add commands, or groups of commands, to hvolab's command line; return nothing.

    Called once for each command line that is built. `app` is the whole command line: add to it by `@app.command()` or
    `app.add_typer()`, and change nothing else. Checked: that nothing else was changed; that typer can build each added
    command from its signature; that no name is in use already. If a check fails or the hook raises, all its additions
    are removed and the plugin is left out.
    """
