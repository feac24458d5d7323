# SPDX-License-Identifier: GPL-2.0-only
"""Reports about plugins: origin, problem, and the place of a problem in the plugin's files."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final

from hvolab.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The distribution whose plugins come first, and need no isolation.
OWN_DISTRIBUTION: Final = "hvolab"
#: Frames of this package are never the plugin's, even for a plugin that is a part of core.
_THIS_PACKAGE = __name__.rpartition(".")[0]


@dataclass(frozen=True)
class PluginOrigin:
    """The origin of a plugin.

    name          its entry point's name, or the name under which it was registered
    distribution  the installed distribution that announces it; empty if it was registered by hand
    package       its top-level Python package, which identifies its frames in a traceback
    version       the release of the distribution; empty if it was registered by hand
    """

    name: str
    distribution: str
    package: str
    version: str = ""

    def __str__(self) -> str:
        return _called(self.name, self.distribution)

    @property
    def is_own(self) -> bool:
        """Return whether hvolab's own distribution announces it."""
        return self.distribution.casefold() == OWN_DISTRIBUTION


@dataclass(frozen=True)
class PluginProblem:
    """A plugin that was left out.

    plugin        its name, or that of its distribution if the entry points cannot be read
    distribution  as of its origin
    reason        the fault, the exception's type and message if there was one, and the place as file:line
    """

    plugin: str
    distribution: str
    reason: str

    def __str__(self) -> str:
        return f"{_called(self.plugin, self.distribution)} is left out: {self.reason}"


@dataclass(frozen=True)
class PluginStatus:
    """A plugin that was found, and the result of loading it.

    origin   its origin
    seconds  the time that its import, its hooks and their checks took
    hooks    the hooks that it implements, by name; empty if it was not loaded
    problem  the reason why it is left out; empty if it works or is disabled
    disabled whether HVOLAB_DISABLE names it; it is not imported then
    """

    origin: PluginOrigin
    seconds: float = 0.0
    hooks: tuple[str, ...] = ()
    problem: str = ""
    disabled: bool = False


def _called(plugin: str, distribution: str) -> str:
    return f"plugin {plugin!r} (" + (f"distribution {distribution!r})" if distribution else "registered by hand)")


def sentence(error: BaseException) -> str:
    """Return type and message of an exception on one line, even if its own `__str__` raises."""
    message = " ".join(str(traceback.TracebackException.from_exception(error)).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def raised_at(error: BaseException, package: str) -> str:
    """Return file:line of the last frame of the traceback that belongs to `package`, or "" if none does.

    A file that cannot be compiled has no frame; the place in its SyntaxError is returned.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 0}"
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if _is_within(module, package) and not _is_within(module, _THIS_PACKAGE):
            place = f"{frame.f_code.co_filename}:{line}"
    return place


def repeated(names: Sequence[str]) -> str:
    """Return the names that occur more than once, quoted; "" if there are none."""
    return ", ".join(map(repr, sorted({name for name in names if names.count(name) > 1})))


def package_of(plugin: object) -> str:
    """Return the top-level package of a loaded plugin: a module, or an object of a class defined in one."""
    module = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__
    return module.partition(".")[0]


def _is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def strict_error(problems: Sequence[PluginProblem]) -> PluginError:
    """Return the error of strict mode: every problem, one to a line."""
    count = "a plugin does not work" if len(problems) == 1 else f"{len(problems)} plugins do not work"
    return PluginError(
        "\n  ".join([count, *map(str, problems)]),
        rule="strict mode (HVOLAB_STRICT=1) lets no plugin be left out",
        hint="repair or uninstall the plugins, or leave strict mode",
    )
