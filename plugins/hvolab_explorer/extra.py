# SPDX-License-Identifier: GPL-2.0-only
"""Search for the libraries of the extra `explore`."""

from __future__ import annotations

from importlib.util import find_spec

from hvolab.errors import UsageError


def require_greenlet() -> None:
    """Raise UsageError if greenlet is not installed."""
    if find_spec("greenlet") is None:
        raise UsageError("the explorer needs greenlet", hint="pip install 'hvolab[explore]'")
