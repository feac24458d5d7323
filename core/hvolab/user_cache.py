# SPDX-License-Identifier: GPL-2.0-only
"""hvolab's folder in the user's cache directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: Environment variable with the folder, instead of the user's own.
CACHE_VARIABLE: Final = "HVOLAB_CACHE_DIR"


def cache_directory() -> Path:
    """Return the folder: HVOLAB_CACHE_DIR, or `hvolab` in the user's cache directory; it may not exist."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_path  # noqa: PLC0415 - milliseconds that few processes need

    return user_cache_path("hvolab", appauthor=False)
