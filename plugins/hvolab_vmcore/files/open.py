# SPDX-License-Identifier: GPL-2.0-only
"""Opening of a dump of any format that a plugin reads."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from hvolab.errors import CoreFileError
from hvolab.plugin import registry
from hvolab_vmcore.files.content import Content, open_content
from hvolab_vmcore.files.dump import CUT_SHORT, Dump, DumpInput, DumpReaders
from hvolab_vmcore.files.flattened import MAGIC, FlattenedContent
from hvolab_vmcore.files.live import LiveContent, is_live
from hvolab_vmlinux.containers.compression import COMPRESSIONS

_VMWARE: Final = "name the .vmem file of the snapshot instead, which is memory without a header, with --map FILE"
#: First bytes of other files that people take for memory dumps: their start, what they are, and what to do.
_OTHERS: Final = (
    (b"DISKDUMP", "a dump of diskdump", ""),
    (
        b"QEVM",
        "a saved state of QEMU's migration",
        "load it: the same QEMU command with -incoming 'exec:cat FILE'; then dump-guest-memory OUT in its monitor",
    ),
    (b"LibvirtQemudSave", "a saved domain of libvirt", "virsh(1): restore it, and then dump --memory-only DOMAIN OUT"),
    (b"LibvirtQemudPart", "a saved domain of libvirt that is not complete", "save the domain again"),
    (b"\xd0\xbe\xd2\xbe", "a saved state of VMware", _VMWARE),
    (b"\xd1\xba\xd1\xba", "a saved state of VMware", _VMWARE),
    (b"\xd2\xbe\xd2\xbe", "a saved state of VMware", _VMWARE),
    (b"PAGEDU64", "a dump of Windows", ""),
    (b"PAGEDUMP", "a dump of Windows", ""),
    (MAGIC, "a flattened file inside of several others", "unpack it: makedumpfile -R OUT < FILE; and open OUT"),
    *((magic, "a file that was compressed twice", "unpack it once") for one in COMPRESSIONS for magic in one.magics),
    (b"PK\x03\x04", "a zip archive", "unpack it: python3 -m zipfile -e FILE FOLDER; and open the dump in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it, and open the dump in it"),
    (b"QFI\xfb", "the image of a disk (qcow2)", ""),
    (b"MZ", "a kernel image or another program for EFI", "`hvolab image` reads kernel images; name a memory dump here"),
)
#: Mark of an archive of tar, and its place in the file.
_TAR: Final = (257, b"ustar", "an archive of tar", "unpack it: tar -xf FILE; and open the dump in it")
#: Flattened files inside of each other that are read.
_MOST_LAYERS: Final = 3


def open_dump(path: str | os.PathLike[str], *more: str | os.PathLike[str], memory_map: Path | None = None) -> Dump:
    """Open the dump at ``path``, which may be compressed as a whole, by the first reader that knows its format.

    more        the other files of a dump that was split
    memory_map  file with a map of memory that has no header
    Uncompressed files are mapped and must not be truncated while the result is in use.
    Raises CoreFileError, with file and place, for a file of no known format, and for a damaged one.
    """
    paths = (Path(path), *map(Path, more))
    contents = tuple(_content(one) for one in paths)
    source = DumpInput(paths, contents, memory_map)
    readers: DumpReaders = registry().dump_formats()
    if memory_map is not None:
        _check_no_header(source, readers)
    for read in readers.values():
        if (found := read(source)) is not None:
            return _complete(found, source)
    start = source.content.read(0, 512)
    place, mark, *tar = _TAR
    others = [(text, advice) for magic, text, advice in _OTHERS if start.startswith(magic)]
    others += [(tar[0], tar[1])] if start.startswith(mark, place) else []
    known, advice = next(iter(others), (None, ""))
    without = "; memory without a header needs --map FILE" if memory_map is None else ""
    raise CoreFileError(
        f"this is {known}, not a memory dump of a format that is read"
        if known
        else f"this is not a memory dump of a known format: it begins with {start[:8].hex(' ') or 'nothing'}",
        where=f"{paths[0]}, byte 0",
        rule=f"the formats that are read: {', '.join(readers) or 'none'}",
        hint=advice or f"name a memory dump as kdump, makedumpfile or QEMU's dump-guest-memory make it{without}",
    )


def _check_no_header(source: DumpInput, readers: DumpReaders) -> None:
    """Raise CoreFileError for a dump of a format that has a map of its own."""
    for name, read in readers.items():
        try:
            found = read(replace(source, memory_map=None)) is not None
        except CoreFileError:  # of that format, and damaged
            found = True
        if found:
            raise CoreFileError(
                f"this is a dump of format {name}, which needs no map of its memory",
                where=f"{source.path}, byte 0",
                rule="--map is for memory without a header",
                hint="omit --map",
            )


def _content(path: Path) -> Content:
    """Return the bytes of a file, without makedumpfile's flattened format."""
    if is_live(path):
        return LiveContent(path)
    content: Content = open_content(path)
    for _ in range(_MOST_LAYERS):
        if content.read(0, len(MAGIC)) != MAGIC:
            break
        content = FlattenedContent(content, str(path))
    return content


def _complete(dump: Dump, source: DumpInput) -> Dump:
    """Return the dump with the warnings of its files; raises CoreFileError for files that it does not use."""
    if dump.parts < len(source.paths):
        raise CoreFileError(
            f"a dump of format {dump.format} has one file",
            where=str(source.paths[1]),
            rule="makedumpfile --split writes several files, in the kdump-compressed format",
            hint="omit --part",
        )
    warnings = [text for content in source.contents for text in content.warnings]
    remedy = dump.remedy or (CUT_SHORT if warnings else "")
    return replace(dump, warnings=(*dump.warnings, *warnings), remedy=remedy)
