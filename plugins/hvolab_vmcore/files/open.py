# SPDX-License-Identifier: GPL-2.0-only
"""Opening of a dump of any format that a plugin reads."""

from __future__ import annotations

import os
from pathlib import Path

from hvolab.errors import CoreFileError
from hvolab.plugin import registry
from hvolab_vmcore.files.content import open_content
from hvolab_vmcore.files.dump import Dump, DumpInput, DumpReaders


def open_dump(path: str | os.PathLike[str], *more: str | os.PathLike[str]) -> Dump:
    """Open the dump at ``path``, which may be compressed as a whole, by the first reader that knows its format.

    more  the other files of a dump that was split
    Uncompressed files are mapped and must not be truncated while the result is in use.
    Raises CoreFileError, with file and place, for a file of no known format, and for a damaged one.
    """
    paths = (Path(path), *map(Path, more))
    source = DumpInput(paths, open_content(paths[0]))
    readers: DumpReaders = registry().dump_formats()
    for read in readers.values():
        if (found := read(source)) is not None:
            return found
    start = source.content.read(0, 8)
    raise CoreFileError(
        f"this is not a memory dump of a known format: it begins with {start.hex(' ') or 'nothing'}",
        where=f"{paths[0]}, byte 0",
        rule=f"the formats that are read: {', '.join(readers) or 'none'}",
        hint="name a memory dump as kdump, makedumpfile or QEMU's dump-guest-memory make it",
    )
