# SPDX-License-Identifier: GPL-2.0-only
"""Wait for a change of files.

Polling: the files are few, editors replace them in many ways, and a look at each takes a microsecond.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

#: Seconds between two looks, and after a change until the editor has written all.
_INTERVAL: Final = 0.1

Stamps = dict[Path, tuple[int, int, int] | None]


def stamps(paths: Iterable[Path]) -> Stamps:
    """Return inode, size and time of each file; None for one that is absent, as while an editor replaces it."""
    found: Stamps = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            found[path] = None
        else:
            found[path] = status.st_ino, status.st_size, status.st_mtime_ns
    return found


def watched(source: Path) -> tuple[Path, ...]:
    """Return the files to watch: a C file, and the headers next to it."""
    return source, *sorted(source.parent.glob("*.h"))


def wait_for_change(before: Stamps) -> None:
    """Return as soon as one of the files has changed, and is there."""
    while (now := stamps(before)) == before or None in now.values():
        time.sleep(_INTERVAL)
    while (later := stamps(before)) != now or None in later.values():
        now = later
        time.sleep(_INTERVAL)
