# SPDX-License-Identifier: GPL-2.0-only
"""Writer of a new architecture plugin from the templates in this package."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from hvolab.errors import UsageError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SUFFIX = ".template"
#: Folder of the templates of the Python package itself.
_PACKAGE = "src"


def package_of(name: str) -> str:
    """Return the Python package that describes an architecture ``name``; raises UsageError for an invalid name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a valid name of an architecture",
            rule="a letter, then letters, digits and underscores: it becomes a part of a Python package's name",
            hint="choose another, such as the one of arch/ in the kernel",
        )
    return f"hvolab_{name.lower()}"


def write_architecture(name: str, directory: Path) -> list[Path]:
    """Write an installable package that describes an architecture ``name``; return its files, sorted by name.

    directory  parent of the package's folder ``hvolab-NAME``

    Raises UsageError for a name with other characters than letters, digits and underscores, and for a folder that
    exists already or cannot be written.
    """
    names = {
        "name": name,
        "package": package_of(name),
        "distribution": f"hvolab-{name.lower().replace('_', '-')}",
        "constant": name.upper(),
    }
    folder = directory / names["distribution"]
    try:
        folder.mkdir(parents=True)
        return sorted(_write(files(__package__) / "architecture", folder, names))
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} exists already", hint="choose another --directory: nothing is overwritten"
        ) from error
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be written: {error.strerror}", hint="choose another --directory"
        ) from error


def _write(source: Traversable, folder: Path, names: dict[str, str]) -> list[Path]:
    """Write the files of ``source`` to ``folder``, which exists."""
    written = []
    for item in source.iterdir():
        if item.is_dir():
            inner = folder / item.name
            if item.name == _PACKAGE:
                inner /= names["package"]
            inner.mkdir(parents=True)
            written += _write(item, inner, names)
        elif item.name.endswith(_SUFFIX):
            path = folder / item.name.removesuffix(_SUFFIX)
            path.write_text(Template(item.read_text("utf-8")).substitute(names), encoding="utf-8")
            written.append(path)
    return written
