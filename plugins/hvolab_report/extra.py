# SPDX-License-Identifier: GPL-2.0-only
"""Search for the libraries of the extra `report`."""

from __future__ import annotations

from importlib.util import find_spec

from hvolab.errors import UsageError


def require(library: str, purpose: str) -> None:
    """Raise UsageError if a library of the extra is not installed.

    library  its name as a module
    purpose  what needs it, as the subject of a sentence
    """
    if find_spec(library) is None:
        raise UsageError(f"{purpose} needs {library}", hint="pip install 'hvolab[report]'")
