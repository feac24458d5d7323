# SPDX-License-Identifier: GPL-2.0-only
"""Lowest releases that pyproject.toml admits of the dependencies: tox installs them in its environment `oldest`."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

_PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
#: A requirement with a lower bound: name, extras, bound.
_BOUNDED = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)")


def lowest(pyproject: Path = _PYPROJECT) -> dict[str, str]:
    """Return the lowest release of each dependency, of those of the extras too, by name.

    Raises ValueError for a dependency without a lower bound, other than the project itself.
    """
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    found = {}
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        if bounded := _BOUNDED.match(requirement):
            found[bounded[1]] = bounded[2]
        elif not requirement.startswith(f"{project['name']}["):
            raise ValueError(f"the dependency {requirement!r} has no lower bound")
    return found
