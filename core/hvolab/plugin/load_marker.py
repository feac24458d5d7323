# SPDX-License-Identifier: GPL-2.0-only
"""Markers of plugins that are being loaded: files that a start leaves behind if a plugin ends or stops it.

A marker is a file in the user's cache directory, and the process that loads the plugin holds a lock on it. The kernel
releases the lock when the process ends, however it does: a marker without a lock is that of a start that did not end.
Processes never wait for each other, and without a cache directory there are no markers.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from hvolab.plugin.report import PluginOrigin
from hvolab.user_cache import cache_directory

#: Seconds after which a plugin that another process loads is reported.
PATIENCE: Final = 5.0
_FOLDER: Final = "loading"
_SUFFIX: Final = ".json"


@dataclass(frozen=True)
class UnfinishedLoad:
    """A plugin that an earlier start of hvolab has not finished loading.

    origin   the plugin
    process  the number of the process that loads it still; 0 if the process ended while it loaded the plugin
    seconds  the time for which that process has been loading it
    """

    origin: PluginOrigin
    process: int = 0
    seconds: float = 0.0


@contextmanager
def marked(origin: PluginOrigin) -> Iterator[None]:
    """Keep a marker while the block loads the plugin, and note it in a KeyboardInterrupt; not for hvolab's own ones."""
    file = None if origin.is_own else _create(origin)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not origin.is_own:
            interrupt.add_note(
                f"interrupted while {origin} was loaded; hint: HVOLAB_DISABLE={origin.name} leaves it out"
            )
        raise
    finally:
        if file is not None:
            with suppress(OSError):
                Path(file.name).with_suffix(_SUFFIX).unlink(missing_ok=True)
                file.close()


def _create(origin: PluginOrigin) -> IO[str] | None:
    """Create a marker that is complete and locked before others can find it; None if that is not possible."""
    text = json.dumps([origin.name, origin.distribution, origin.package, origin.version])
    with suppress(OSError, RuntimeError):
        folder = cache_directory() / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{os.getpid()}-{time.time_ns()}.new"
        file = path.open("x", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(text)
            file.flush()
            path.rename(path.with_suffix(_SUFFIX))
        except OSError:
            file.close()
            path.unlink(missing_ok=True)
            raise
        return file
    return None


def unfinished_loads() -> list[UnfinishedLoad]:
    """Return the plugins that other starts have not finished loading, and remove the markers of those that ended.

    A process that still loads a plugin is reported after PATIENCE seconds.
    """
    found: list[UnfinishedLoad] = []
    with suppress(OSError):
        for path in sorted((cache_directory() / _FOLDER).glob(f"*{_SUFFIX}")):
            with suppress(OSError, ValueError, TypeError):  # removed meanwhile, or damaged
                found += _read(path)
    return found


def _read(path: Path) -> Iterator[UnfinishedLoad]:
    with path.open(encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            seconds = time.time() - path.stat().st_mtime
            if seconds >= PATIENCE:
                yield UnfinishedLoad(_origin(file), int(path.name.partition("-")[0]), seconds)
            return
        path.unlink(missing_ok=True)
        yield UnfinishedLoad(_origin(file))


def _origin(file: IO[str]) -> PluginOrigin:
    content: Any = json.load(file)
    return PluginOrigin(*map(str, content))
