# SPDX-License-Identifier: GPL-2.0-only
"""Checks of a plugin's hooks and of their results."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pluggy

from hvolab.errors import PluginError, close_names
from hvolab.plugin import hookspecs
from hvolab.plugin.isolation import blaming
from hvolab.plugin.report import repeated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hvolab.arch import Architecture
    from hvolab.plugin.report import PluginOrigin

#: Functions that run nothing when called; a wrapper hook is one, too.
_LAZY: Final = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)


def managed(origin: PluginOrigin, plugin: object) -> pluggy.PluginManager:
    """Return a pluggy manager that holds this one plugin, its hooks checked.

    One manager for each plugin: with a shared one, a plugin that raises would hide the results of others.

    Raises PluginError for a misspelt or undecorated hook, a signature that does not match, a generator or coroutine,
    and an object without any hook.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    known = sorted(name for name in vars(hookspecs) if manager.parse_hookspec_opts(hookspecs, name) is not None)
    with blaming(origin, "its attributes cannot be read"):
        faults = [fault for name in dir(plugin) if (fault := _fault(manager, known, plugin, name))]
    if faults:
        raise PluginError("; ".join(faults))
    with blaming(origin, "it cannot be registered"):
        manager.register(plugin, origin.name)
        manager.check_pending()
    if not manager.get_hookcallers(plugin):
        raise PluginError(f"{_shown(plugin)} implements no hook", hint=f"mark {' or '.join(known)} with @hookimpl")
    return manager


def hooks_of(manager: pluggy.PluginManager) -> tuple[str, ...]:
    """Return the names of the hooks that the manager's plugin implements, sorted."""
    callers = (caller for plugin in manager.get_plugins() for caller in manager.get_hookcallers(plugin) or ())
    return tuple(sorted(caller.name for caller in callers))


def _fault(manager: pluggy.PluginManager, known: Sequence[str], plugin: object, name: str) -> str:
    """Return the fault of the attribute of this name as a hook; "" if it has none, or is not a hook."""
    value = inspect.getattr_static(plugin, name, None)
    options = manager.parse_hookimpl_opts(plugin, name)
    if options is None:
        if not name.startswith(hookspecs.HOOK_PREFIX) or isinstance(value, types.ModuleType | type):
            return ""
        if name in known:
            return f"{name!r}{_place(value)} is not a function decorated with @hookimpl"
    hook = (options and options.get("specname")) or name
    if hook not in known and not (options and options.get("optionalhook")):
        nearest = close_names(hook, known)
        advice = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
        return f"{hook!r}{_place(value)} is an unknown hook: {advice}"
    if any(is_lazy(value) for is_lazy in _LAZY):
        return f"{name!r}{_place(value)} is a generator or coroutine; a hook is a plain function"
    return ""


def _place(value: object) -> str:
    function = getattr(value, "__func__", value)
    if not isinstance(function, types.FunctionType):
        return ""
    return f" ({function.__code__.co_filename}:{function.__code__.co_firstlineno})"


def _shown(value: object) -> str:
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__!r}"
    return "None" if value is None else f"an object of type {type(value).__name__!r}"


def _results(origin: PluginOrigin, caller: Any, hook: str, wanted: str) -> list[Any]:
    """Call a hook and return its results; raises PluginError if it raises or returns None."""
    with blaming(origin, f"{hook} raises"):
        results: list[Any] = caller()
    if len(results) < len(caller.get_hookimpls()):
        raise PluginError(f"{hook} returns None, not {wanted}")
    return results


_SEQUENCE: Final = "a sequence of Architecture"


def architectures_of(origin: PluginOrigin, manager: pluggy.PluginManager) -> tuple[Architecture, ...]:
    """Call the plugin's hook and return its architectures; empty if it does not implement the hook.

    Raises PluginError if the hook raises or returns anything but a sequence of sound architectures with own names.
    """
    results = _results(origin, manager.hook.hvolab_architectures, "hvolab_architectures()", _SEQUENCE)
    found = [architecture for result in results for architecture in _members(origin, result)]
    if twice := repeated(names_of(*found)):
        raise PluginError(f"it declares {twice} more than once")
    return tuple(found)


def makers_of(origin: PluginOrigin, caller: Any, hook: str) -> dict[str, Any]:
    """Call a hook that returns functions by name: makers of CPUs or engines, or stubs; return them.

    Raises PluginError if the hook raises or returns anything but a mapping of names to functions.
    """
    wanted = "a mapping of names to functions"
    found: dict[str, Any] = {}
    for result in _results(origin, caller, hook, wanted):
        if not isinstance(result, Mapping):
            raise PluginError(f"{hook} returns {_shown(result)}, not {wanted}")
        with blaming(origin, f"the result of {hook} cannot be read"):
            found.update(result)
    for name, make in found.items():
        if not isinstance(name, str) or not name or not callable(make):
            raise PluginError(f"{hook} returns {name!r}: {make!r}, not a name and a function")
    return found


def names_of(*architectures: Architecture) -> list[str]:
    """Return the name and the aliases of each architecture."""
    return [name for each in architectures for name in (each.name, *each.aliases)]


def _members(origin: PluginOrigin, result: object) -> Iterator[Architecture]:
    """Yield the architectures of a hook's result, each checked; raises PluginError for anything but a sequence."""
    from hvolab.arch import Architecture  # noqa: PLC0415 - to import hookimpl takes none of it

    if not isinstance(result, Sequence) or isinstance(result, str | bytes):
        raise PluginError(f"hvolab_architectures() returns {_shown(result)}, not {_SEQUENCE}")
    with blaming(origin, "the result of hvolab_architectures() cannot be read"):
        members: Iterable[object] = tuple(result)
    for position, member in enumerate(members):
        if not isinstance(member, Architecture):
            raise PluginError(f"hvolab_architectures() returns {_shown(member)}, not an Architecture, at [{position}]")
        name, aliases = member.name, member.aliases
        if not isinstance(aliases, tuple) or not all(isinstance(text, str) and text for text in (name, *aliases)):
            raise PluginError(f"architecture {name!r} with aliases {aliases!r} is not named by strings")
        if not origin.is_own:  # tests and the kit check hvolab's own: it takes a tenth of what a short command takes
            with blaming(origin, f"architecture {name!r} does not pass its own check"):
                member.check()
        yield member
