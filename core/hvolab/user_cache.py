# SPDX-License-Identifier: GPL-2.0-only
"""hvolab's folder in the user's cache directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: Environment variable with the folder, instead of the user's own.
CACHE_VARIABLE: Final = "HVOLAB_CACHE_DIR"


def cache_directory() -> Path:
    """Return the folder: HVOLAB_CACHE_DIR, or `hvolab` in XDG_CACHE_HOME, or in ~/.cache; it may not exist.

    The XDG Base Directory Specification demands that a relative XDG_CACHE_HOME is ignored.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache")) / "hvolab"  # noqa: PTH111, PTH117 - Path.home() raises without a home
