# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab plugins`: the plugins that were found, and the warnings about those that do not load as they should."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from hvolab.cli.errors import show_warning
from hvolab.cli.options import JsonOption
from hvolab.plugin import PluginRegistry, PluginStatus, registry
from hvolab.plugin.hookspecs import HOOK_PREFIX
from hvolab.plugin.load_marker import UnfinishedLoad
from hvolab.plugin.registry import DISABLE_VARIABLE

#: Seconds of loading from which a plugin is reported.
SLOW: Final = 2.0
_State = Literal["disabled", "left out", "loaded"]


@dataclass(frozen=True)
class PluginData:
    """One plugin, in the JSON of `hvolab plugins`.

    name          name of its entry point
    distribution  package that has it, with its version
    seconds       time that loading took
    hooks         hooks that it implements
    problem       reason for leaving it out; empty: none
    """

    name: str
    distribution: str
    version: str
    state: _State
    seconds: float
    hooks: tuple[str, ...]
    problem: str


def plugins(json: JsonOption = False) -> None:
    """List the plugins: distribution, version, hooks, the time that loading took, and why one is left out.

    HVOLAB_DISABLE=NAME,... leaves plugins out.

    hvolab plugins --json
    """
    from hvolab.cli.output import console, print_json, show

    found = registry().statuses
    if json:
        print_json([_data(status) for status in found])
        return
    show(_table(found) if found else "no plugin is installed")
    reasons = [f"{status.origin.name}: {status.problem}" for status in found if status.problem]
    if reasons:
        console().print("", *reasons, sep="\n", soft_wrap=True)  # a line each, for logs and grep


def state_of(status: PluginStatus) -> _State:
    """Return the state of a plugin in one or two words."""
    if status.disabled:
        return "disabled"
    return "left out" if status.problem else "loaded"


def _data(status: PluginStatus) -> PluginData:
    origin, seconds = status.origin, round(status.seconds, 6)
    names = origin.name, origin.distribution, origin.version
    return PluginData(*names, state_of(status), seconds, tuple(status.hooks), status.problem)


def _table(found: Iterable[PluginStatus]) -> Any:
    from hvolab.cli.output import table

    grid = table("plugin", "distribution", "version", "state", "time", "hooks", right=("time",))
    for status in found:
        origin, time = status.origin, "" if status.disabled else f"{1000 * status.seconds:.0f} ms"
        hooks = ", ".join(hook.removeprefix(HOOK_PREFIX) for hook in status.hooks)
        grid.add_row(origin.name, origin.distribution, origin.version, state_of(status), time, hooks)
    return grid


def show_unfinished(unfinished: Iterable[UnfinishedLoad]) -> None:
    """Write a warning for each plugin that an earlier start has not finished loading."""
    for one in unfinished:
        if one.process:
            what = f"process {one.process} has been loading {one.origin} for {one.seconds:.0f} s"
        else:
            what = f"an earlier start ended while it loaded {one.origin}"
        show_warning(what, _leave_out(one.origin.name))


def show_problems(found: PluginRegistry, *, listed: bool) -> None:
    """Write a warning for each plugin that was left out, unless they are listed anyway, or that loads slowly."""
    for problem in () if listed else found.problems:
        show_warning(str(problem))
    for status in found.statuses:
        if status.seconds >= SLOW and not status.origin.is_own:
            show_warning(f"{status.origin} took {status.seconds:.1f} s to load", _leave_out(status.origin.name))
    for name in found.unknown_disabled:
        show_warning(f"{DISABLE_VARIABLE} names {name!r}, but no plugin has this name", "`hvolab plugins` lists them")


def _leave_out(name: str) -> str:
    return f"{DISABLE_VARIABLE}={name} leaves it out"
