# SPDX-License-Identifier: GPL-2.0-only
"""Raw memory without any header, with a map of it in a file of its own."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Final

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.dump import CUT_SHORT, Dump, DumpInput
from hvolab_vmcore.files.extents import DisagreementError, Extent, ExtentFrames, merged, within
from hvolab_vmlinux.containers.files import read_file

#: First and last PA of a range, the offset of its bytes in the file, and its name, as in /proc/iomem.
_LINE: Final = re.compile(
    r"(?:0x)?(?P<start>[0-9a-f]{1,16})-(?:0x)?(?P<last>[0-9a-f]{1,16})(@(?:0x)?(?P<offset>[0-9a-f]{1,16}))?(\s+:\s+(?P<name>.*))?",
    re.IGNORECASE,
)
_RAM: Final = "System RAM"
_LARGEST_MAP: Final = 1 << 20


def read_raw(source: DumpInput) -> Dump | None:
    """Return the memory that the map describes, None without a map; raises CoreFileError for a map that is wrong."""
    if source.memory_map is None:
        return None
    ranges = read_map(source.memory_map)
    content, path = source.content, source.path
    there = within(ranges, content.size)
    missing = sum(one.end - one.start for one in ranges) - sum(one.end - one.start for one in there)
    try:
        extents = merged(there, content)
    except DisagreementError as error:
        raise _wrong("two ranges overlap and disagree", source.memory_map, f"PA {error.args[1].start:#x}") from error
    described = tuple(sorted((one.start, one.end) for one in ranges))
    warnings = [f"the file is shorter than its map: {missing:#x} bytes of memory are missing"] if missing else []
    if (rest := content.size - max(one.offset + one.end - one.start for one in ranges)) > 0:
        warnings.append(f"the map leaves out {rest:#x} bytes at the end of the file: it may be that of another machine")
    frames = partial(ExtentFrames, content, extents, described)
    return Dump(
        path, "raw", None, "little", described, frames, warnings=tuple(warnings), remedy=CUT_SHORT if missing else ""
    )


def read_map(path: Path) -> tuple[Extent, ...]:
    """Parse a map: a line for each range, as in /proc/iomem, in the order of their bytes in the file.

    `START-LAST : System RAM`, both PAs in hex; lines with another name are left out, and so are indented ones, but not
    those of RAM that a driver added, such as `System RAM (kmem)`. The name may be left out; `START-LAST@OFFSET` has the
    offset of the range's bytes in the file, where they do not follow those of the range before.
    """
    text = read_file(path, CoreFileError, max_size=_LARGEST_MAP).tobytes().decode("ascii", errors="backslashreplace")
    found, offset = list[Extent](), 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line[0] == "#" or (line[0].isspace() and _RAM not in line):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise _wrong(f"this line is not a range: {line[:40]!r}", path, f"line {number}")
        if match["name"] is not None and not match["name"].startswith(_RAM):
            continue
        start, last = int(match["start"], 16), int(match["last"], 16)
        if last < start:
            raise _wrong(f"the range ends before it starts: {line[:40]!r}", path, f"line {number}")
        offset = offset if match["offset"] is None else int(match["offset"], 16)
        found.append(Extent(start, last + 1, offset))
        offset += last + 1 - start
    if found and all(one.end == 1 for one in found):
        what = "all PAs of the map are 0: the kernel hides them from users"
        raise CoreFileError(
            what, where=str(path), rule="/proc/iomem, kernel/resource.c", hint="copy /proc/iomem as root"
        )
    if not found:
        raise _wrong("the map has no memory", path, "line 1")
    return tuple(found)


def _wrong(what: str, path: Path, place: str) -> CoreFileError:
    rule = "a map of memory: START-LAST or START-LAST@OFFSET in hex, and a name as in /proc/iomem"
    return CoreFileError(what, where=f"{path}, {place}", rule=rule, hint="correct the file that --map names")
