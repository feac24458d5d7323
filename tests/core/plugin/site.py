# SPDX-License-Identifier: GPL-2.0-only
"""A site directory of a stranger's, filled as an installer fills one, for the true discovery to find."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

from hvolab.plugin import PluginRegistry

#: A module that describes a renamed copy of a real architecture.
COPY = """
    from dataclasses import replace
    from hvolab.plugin import hookimpl
    from hvolab_x86_64.description import X86_64

    @hookimpl
    def hvolab_architectures():
        return (replace(X86_64, name={name!r}, aliases={aliases!r}),)
"""


def copy_named(name: str, *aliases: str) -> str:
    """The source of a plugin that describes one architecture of this name."""
    return COPY.format(name=name, aliases=aliases)


class Site:
    """One directory with installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_module(self, module: str, source: str) -> Path:
        """Write the file of a module and return it."""
        path = self.folder / f"{module}.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        return path

    def write_metadata(self, distribution: str, entry_points: str) -> None:
        """Write what an installer leaves of a distribution: its name, version and entry points."""
        info = self.folder / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
        importlib.invalidate_caches()

    def install(self, plugin: str, source: str, *, distribution: str | None = None, attribute: str = "") -> Path:
        """Install a distribution with one plugin, made of one module; return the module's file."""
        module = f"{(distribution or plugin).replace('-', '_')}_module"
        value = f"{module}:{attribute}" if attribute else module
        self.write_metadata(distribution or plugin, f"[hvolab]\n{plugin} = {value}\n")
        return self.write_module(module, source)

    def entry_points(self) -> list[EntryPoint]:
        """The entry points of this site alone, read by importlib.metadata."""
        return [
            entry_point
            for distribution in importlib.metadata.distributions(path=[str(self.folder)])
            for entry_point in distribution.entry_points
        ]

    def load(self, *, strict: bool = False) -> PluginRegistry:
        """Load the plugins of this site alone, whatever else is installed."""
        return PluginRegistry.load(strict=strict, entry_points=self.entry_points())

    def forget_modules(self) -> None:
        """Take the modules of this site out of the interpreter, so that the next test can reuse their names."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(str(self.folder)):
                del sys.modules[name]
