# SPDX-License-Identifier: GPL-2.0-only
"""A plugin's commands: added to the command line whole, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hvolab.errors import PluginError
from hvolab.plugin.isolation import blaming
from hvolab.plugin.report import repeated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pluggy
    import typer
    from typer.models import CommandInfo, TyperInfo

    from hvolab.plugin.report import PluginOrigin


@dataclass(frozen=True)
class _Contents:
    """The contents of a command line at one moment."""

    commands: tuple[CommandInfo, ...]
    groups: tuple[TyperInfo, ...]
    callback: TyperInfo | None

    @classmethod
    def of(cls, app: typer.Typer) -> _Contents:
        return cls(tuple(app.registered_commands), tuple(app.registered_groups), app.registered_callback)

    def restore(self, app: typer.Typer) -> None:
        app.registered_commands = list(self.commands)
        app.registered_groups = list(self.groups)
        app.registered_callback = self.callback

    def extends(self, before: _Contents) -> bool:
        """Return whether there are only additions since `before`."""
        commands, groups = self.commands[: len(before.commands)], self.groups[: len(before.groups)]
        return _Contents(commands, groups, self.callback) == before

    def since(self, before: _Contents) -> _Contents:
        """Return the additions since `before`."""
        return _Contents(self.commands[len(before.commands) :], self.groups[len(before.groups) :], None)

    def names(self, *, built: bool) -> list[str]:
        """Return the names of all; builds each, as running it would, or only those whose name that takes."""
        named = [] if built else [command.name for command in self.commands if command.name]
        others = [command for command in self.commands if built or not command.name]
        return [*named, *_built("registered_commands", others), *_built("registered_groups", self.groups)]


def _built(kind: str, members: Sequence[CommandInfo] | Sequence[TyperInfo]) -> list[str]:
    """Build commands or groups and return their names."""
    # Imported here because discovery and the API need no command line; a caller has an app, and so typer.
    import typer  # noqa: PLC0415

    names: list[str] = []
    for member in members:  # one at a time: of two with the same name typer keeps one
        trial = typer.Typer(add_completion=False)
        setattr(trial, kind, [member])
        names += typer.main.get_group(trial).commands
    return names


def names_in_use(app: typer.Typer) -> dict[str, str]:
    """Return the command names of a command line before any plugin adds to it, each with its owner."""
    return dict.fromkeys(_Contents.of(app).names(built=False), "hvolab's own command line")


def leave_only(app: typer.Typer, name: str) -> None:
    """Take every command but the one of this name out of `app`, if it has such a one: typer builds all that it has."""
    if wanted := [command for command in app.registered_commands if command.name == name]:
        app.registered_commands, app.registered_groups = wanted, []


def add_commands_of(
    origin: PluginOrigin, manager: pluggy.PluginManager, app: typer.Typer, used: dict[str, str]
) -> None:
    """Add the commands of one plugin to `app`, and their names to `used`.

    Typer builds a command only when the command line runs, and then the last of two with one name wins; both faults
    are found here instead, where the plugin is known.

    Raises PluginError, with `app` and `used` unchanged, if the hook raises, returns a value, or changes other commands,
    and if it adds a command that typer cannot build, or a name that is in use.
    """
    before = _Contents.of(app)
    try:
        names = _names_added(origin, manager, app, before, used)
    except PluginError:
        before.restore(app)
        raise
    used |= dict.fromkeys(names, str(origin))


def _names_added(
    origin: PluginOrigin, manager: pluggy.PluginManager, app: typer.Typer, before: _Contents, used: dict[str, str]
) -> list[str]:
    """Call the plugin's hook and return the names of its commands, checked."""
    with blaming(origin, "hvolab_commands() raises"):
        results = manager.hook.hvolab_commands(app=app)
    if results:
        raise PluginError(f"hvolab_commands() returns an object of type {type(results[0]).__name__!r}, not None")
    contents = _Contents.of(app)
    if not contents.extends(before):
        raise PluginError("hvolab_commands() changes commands or a callback that are not its own")
    with blaming(origin, "hvolab_commands() adds a command that cannot be built"):
        names = contents.since(before).names(built=not origin.is_own)  # building takes long; tests run hvolab's own
    if clashes := [f"{name!r}, which is in use by {used[name]}" for name in names if name in used]:
        raise PluginError("hvolab_commands() adds the command " + ", and ".join(clashes))
    if twice := repeated(names):
        raise PluginError(f"hvolab_commands() adds {twice} more than once")
    return names
