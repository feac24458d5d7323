# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab --version`, and with `-v` what a report of a fault needs."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from hvolab import __version__
from hvolab.cli.output import labeled, show
from hvolab.cli.plugins import state_of
from hvolab.plugin import registry
from hvolab.user_cache import cache_directory

_NAME = re.compile(r"[\w.-]+")
#: Variables whose values change what hvolab does or prints.
_VARIABLES = ("COLUMNS", "NO_COLOR", "XDG_CACHE_HOME")


def show_details() -> None:
    """Print versions of Python, dependencies and plugins, the platform, cached files and environment variables."""
    grid = labeled()
    for label, text in _details():
        grid.add_row(label, text)
    show(grid)


def _details() -> Iterator[tuple[str, str]]:
    yield "hvolab", f"{__version__}, in {Path(__file__).parents[1]}"
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    yield "platform", f"{platform.platform()}, {os.cpu_count()} CPUs"
    yield "packages", ", ".join(_packages()) or "none: hvolab is not installed as a package"
    for status in registry().statuses:
        origin = status.origin
        state = f"{state_of(status)}: {status.problem}" if status.problem else state_of(status)
        yield f"plugin {origin.name}", f"{origin.distribution} {origin.version}, {state}"
    folder = cache_directory()
    yield "cache", f"{folder}: {_contents(folder)}"
    found = {name: text for name, text in os.environ.items() if name.startswith("HVOLAB_") or name in _VARIABLES}
    yield "environment", " ".join(f"{name}={text}" for name, text in sorted(found.items())) or "default"


def _packages() -> Iterator[str]:
    """Yield name and version of each package that hvolab or one of its extras requires, and that is installed."""
    try:
        required = metadata.requires("hvolab") or []
    except metadata.PackageNotFoundError:
        return
    names = {match[0].lower() for line in required if (match := _NAME.match(line))} - {"hvolab"}
    for name in sorted(names):
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue


def _contents(folder: Path) -> str:
    """Return the number of entries in each folder of the cache."""
    parts = [part for part in sorted(folder.iterdir()) if part.is_dir()] if folder.is_dir() else []
    return ", ".join(f"{part.name} {len(list(part.iterdir()))}" for part in parts) or "empty"
