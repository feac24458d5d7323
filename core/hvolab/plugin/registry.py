# SPDX-License-Identifier: GPL-2.0-only
"""Registry of plugins: each is loaded, checked and called by itself; one that does not work is left out."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from hvolab.errors import PluginError, UsageError, choice_hint, close_names
from hvolab.plugin.checks import architectures_of, hooks_of, makers_of, managed, names_of
from hvolab.plugin.commands import add_commands_of, names_in_use
from hvolab.plugin.discovery import in_loading_order, installed_entry_points
from hvolab.plugin.isolation import blaming
from hvolab.plugin.load_marker import marked
from hvolab.plugin.report import PluginOrigin, PluginProblem, PluginStatus, package_of, strict_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from importlib.metadata import EntryPoint

    import pluggy
    import typer

    from hvolab.arch import Architecture
    from hvolab.plugin.hookspecs import ActorMaker, CpuMaker, DumpReader, EngineMaker, ReportMaker, StubHandler

#: The environment variable that turns a plugin that would be left out into an error, and the values that do so.
STRICT_VARIABLE: Final = "HVOLAB_STRICT"
_STRICT_VALUES: Final = frozenset({"1", "true", "yes"})
#: The environment variable with the names of plugins that are not imported, separated by commas.
DISABLE_VARIABLE: Final = "HVOLAB_DISABLE"
#: The kind of CPU, and the kind of engine, that needs no plugin.
MODEL: Final = "model"
_Maker = TypeVar("_Maker")


@dataclass(frozen=True)
class _Plugin:
    """A plugin that works."""

    origin: PluginOrigin
    module: object
    manager: pluggy.PluginManager
    architectures: tuple[Architecture, ...]
    cpus: Mapping[str, CpuMaker]
    engines: Mapping[str, EngineMaker]
    stubs: Mapping[str, StubHandler]
    dump_formats: Mapping[str, DumpReader]
    actors: Mapping[str, ActorMaker]
    reports: Mapping[str, ReportMaker]


class PluginRegistry:
    """The plugins that work, their architectures, CPUs and engines, and the problems of those that were left out.

    strict    raise PluginError where a plugin would be left out; None: if HVOLAB_STRICT is 1, true or yes
    """

    def __init__(self, *, strict: bool | None = None) -> None:
        environment = os.environ.get(STRICT_VARIABLE, "").strip().lower()
        self.strict = environment in _STRICT_VALUES if strict is None else strict
        self._disabled = {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",")} - {""}
        self._plugins: list[_Plugin] = []
        self._statuses: list[PluginStatus] = []

    @classmethod
    def load(cls, *, strict: bool | None = None, entry_points: Iterable[EntryPoint] | None = None) -> PluginRegistry:
        """Load the plugins behind `entry_points`, by default those of every installed distribution.

        hvolab's own come first, then all others by entry point's name and distribution; of two that clash the later
        one is left out. Raises PluginError in strict mode, with every problem.
        """
        registry = cls(strict=strict)
        if entry_points is None:
            entry_points, unreadable = installed_entry_points()
            registry._statuses += unreadable
        for origin, entry_point in in_loading_order(entry_points):
            registry._admit(origin, entry_point.load)
        registry._raise_if_strict()
        return registry

    def register(self, plugin_module: object, name: str) -> None:
        """Add a plugin that is not installed, such as one in a test or notebook; it is checked like any other.

        If it does not work it is in `problems` afterwards; in strict mode PluginError is raised.
        """
        self._admit(PluginOrigin(name, "", package_of(plugin_module)), lambda: plugin_module)
        self._raise_if_strict()

    @property
    def problems(self) -> tuple[PluginProblem, ...]:
        """The plugins that were left out so far, in the order of loading."""
        left_out = (status for status in self._statuses if status.problem)
        return tuple(PluginProblem(each.origin.name, each.origin.distribution, each.problem) for each in left_out)

    @property
    def statuses(self) -> tuple[PluginStatus, ...]:
        """Every plugin that was found, in the order of loading: those that work, are left out or are disabled."""
        return tuple(self._statuses)

    @property
    def unknown_disabled(self) -> tuple[str, ...]:
        """The names in HVOLAB_DISABLE that no plugin has."""
        return tuple(sorted(self._disabled - {status.origin.name for status in self._statuses}))

    @property
    def plugins(self) -> tuple[PluginOrigin, ...]:
        """The plugins that work, in the order in which they were loaded."""
        return tuple(plugin.origin for plugin in self._plugins)

    def architectures(self) -> Mapping[str, Architecture]:
        """Return every architecture by its name, in the order of the names."""
        found = {architecture.name: architecture for plugin in self._plugins for architecture in plugin.architectures}
        return MappingProxyType(dict(sorted(found.items())))

    def architecture(self, name: str) -> Architecture:
        """Return the architecture of this name or alias; raises UsageError with the names that exist."""
        known = self.architectures().values()
        by_any_name = {text: architecture for architecture in known for text in names_of(architecture)}
        if name in by_any_name:
            return by_any_name[name]
        close = close_names(name, by_any_name, 3)
        advice = [f"did you mean {' or '.join(map(repr, close))}?"] if close else []
        advice.append(f"choose one of {', '.join(map(_with_aliases, known)) or 'none: no plugin describes one'}")
        absent = sorted({status.origin.name for status in self._statuses if status.problem or status.disabled})
        advice += [f"left out: {', '.join(absent)}"] if absent else []
        raise UsageError(f"no architecture is called {name!r}", hint="; ".join(advice))

    def cpus(self) -> Mapping[str, CpuMaker | None]:
        """Return the maker of every kind of CPU by its name; None for the model, with which machines are built."""
        return _kinds(plugin.cpus for plugin in self._plugins)

    def cpu(self, name: str) -> CpuMaker | None:
        """Return the maker of this kind of CPU, None for the model; raises UsageError with the kinds that exist."""
        return _maker("CPU", name, self.cpus())

    def engines(self) -> Mapping[str, EngineMaker | None]:
        """Return the maker of every kind of engine by its name; None for hvolab's own model."""
        return _kinds(plugin.engines for plugin in self._plugins)

    def engine(self, name: str) -> EngineMaker | None:
        """Return the maker of this kind of engine, None for the model; raises UsageError with the kinds that exist."""
        return _maker("engine", name, self.engines())

    def stubs(self) -> Mapping[str, StubHandler]:
        """Return the handler of every kernel function that plugins perform, by the function's name."""
        return MappingProxyType({name: handler for plugin in self._plugins for name, handler in plugin.stubs.items()})

    def dump_formats(self) -> Mapping[str, DumpReader]:
        """Return the reader of every format of memory dumps by its name, in the order of loading."""
        found = {name: read for plugin in self._plugins for name, read in plugin.dump_formats.items()}
        return MappingProxyType(found)

    def actors(self) -> Mapping[str, ActorMaker]:
        """Return the maker of every actor that plugins add to the explorer, by its name."""
        return MappingProxyType({name: make for plugin in self._plugins for name, make in plugin.actors.items()})

    def reports(self) -> Mapping[str, ReportMaker]:
        """Return the maker of the recorder of every kind of report, by its name."""
        return MappingProxyType({name: make for plugin in self._plugins for name, make in plugin.reports.items()})

    def add_commands(self, app: typer.Typer) -> None:
        """Add the commands of every plugin to `app`; call it once for a command line, after its own are in place.

        A plugin whose hook fails is left out from here on, architectures included, and none of its commands stays.
        Raises PluginError in strict mode, with every problem.
        """
        used = names_in_use(app)
        for plugin in tuple(self._plugins):
            index = next(index for index, status in enumerate(self._statuses) if status.origin is plugin.origin)
            started, problem = time.perf_counter(), ""
            try:
                with marked(plugin.origin):
                    add_commands_of(plugin.origin, plugin.manager, app, used)
            except PluginError as error:
                self._plugins.remove(plugin)
                problem = str(error)
            seconds = self._statuses[index].seconds + time.perf_counter() - started
            self._statuses[index] = replace(self._statuses[index], seconds=seconds, problem=problem)
        self._raise_if_strict()

    def _admit(self, origin: PluginOrigin, load: Callable[[], object]) -> None:
        """Import and check a plugin, and add it or leave it out."""
        if origin.name in self._disabled:
            self._statuses.append(PluginStatus(origin, disabled=True))
            return
        started = time.perf_counter()
        try:
            with marked(origin):
                plugin = self._checked(origin, load)
        except PluginError as error:
            status = PluginStatus(origin, problem=str(error))
        else:
            self._plugins.append(plugin)
            status = PluginStatus(origin, hooks=hooks_of(plugin.manager))
        self._statuses.append(replace(status, seconds=time.perf_counter() - started))

    def _raise_if_strict(self) -> None:
        if self.strict and self.problems:
            raise strict_error(self.problems)

    def _checked(self, origin: PluginOrigin, load: Callable[[], object]) -> _Plugin:
        for plugin in self._plugins:
            if plugin.origin.name == origin.name:
                raise PluginError(f"its name is that of {plugin.origin}, which was loaded earlier")
        with blaming(origin, "it cannot be imported"):
            module = load()
        for plugin in self._plugins:
            if plugin.module is module:
                raise PluginError(f"it is the same object as {plugin.origin}")
        manager = managed(origin, module)
        architectures = architectures_of(origin, manager)
        self._check_unclaimed(architectures)
        cpus = makers_of(origin, manager.hook.hvolab_cpus, "hvolab_cpus()")
        engines = makers_of(origin, manager.hook.hvolab_engines, "hvolab_engines()")
        stubs = makers_of(origin, manager.hook.hvolab_stubs, "hvolab_stubs()")
        formats = makers_of(origin, manager.hook.hvolab_dump_formats, "hvolab_dump_formats()")
        actors = makers_of(origin, manager.hook.hvolab_actors, "hvolab_actors()")
        reports = makers_of(origin, manager.hook.hvolab_reports, "hvolab_reports()")
        declared = (
            ("CPU", cpus, self.cpus()),
            ("engine", engines, self.engines()),
            ("stub", stubs, self.stubs()),
            ("dump", formats, self.dump_formats()),
            ("actor", actors, self.actors()),
            ("report", reports, self.reports()),
        )
        for title, new, known in declared:
            if taken := [name for name in new if name in known]:
                raise PluginError(f"it declares kinds of {title} that exist already: {', '.join(map(repr, taken))}")
        return _Plugin(origin, module, manager, architectures, cpus, engines, stubs, formats, actors, reports)

    def _check_unclaimed(self, architectures: Iterable[Architecture]) -> None:
        owners = {name: plugin.origin for plugin in self._plugins for name in names_of(*plugin.architectures)}
        wanted = names_of(*architectures)
        if clashes := [f"{name!r}, which {owners[name]} has declared" for name in wanted if name in owners]:
            raise PluginError(f"it declares {', and '.join(clashes)}")


def _kinds(declared: Iterable[Mapping[str, _Maker]]) -> Mapping[str, _Maker | None]:
    return MappingProxyType({MODEL: None} | {name: make for kinds in declared for name, make in kinds.items()})


def _maker(title: str, name: str, known: Mapping[str, _Maker]) -> _Maker:
    if name not in known:
        raise UsageError(f"no kind of {title} is called {name!r}", hint=choice_hint(name, known))
    return known[name]


def _with_aliases(architecture: Architecture) -> str:
    return architecture.name + (f" ({', '.join(architecture.aliases)})" if architecture.aliases else "")


@functools.cache
def registry() -> PluginRegistry:
    """Return the installed plugins, loaded once for the process; strict if HVOLAB_STRICT says so at the first call."""
    return PluginRegistry.load()
