# SPDX-License-Identifier: GPL-2.0-only
"""Interface of a dump that was opened, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hvolab.errors import CoreFileError
from hvolab.machine import MemorySource
from hvolab_vmcore.files.content import Content
from hvolab_vmcore.files.elf import ByteOrder, CoreNote
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo

#: Name of the notes with VMCOREINFO.
_VMCOREINFO = "VMCOREINFO"
#: Start of the warning about a note that cannot be used.
UNUSABLE = "VMCOREINFO cannot be used"
#: Remedy for a file that ends before the memory that it describes.
CUT_SHORT = "copy the file again: it is cut short"


@dataclass(frozen=True, eq=False)
class Dump:
    """Memory dump that was opened.

    path        the file, or the first of several
    format      name of its format
    machine     name of the ELF machine as 'EM_X86_64', or as `uname -m` prints it; None: the format has none
    byte_order  'little' or 'big', of memory
    ranges      all memory that the dump describes, as PA of the first byte and one past the last, ascending
    frames      returns its memory, in frames of a size given by its log2; raises CoreFileError for another size than
                that in which the format has frames
    notes       all notes, raw, in the order of the file
    vmcoreinfo  the parsed VMCOREINFO, or None without one
    warnings    what is missing in the file, or odd, in sentences
    parts       number of files that it is read from
    remedy      action that adds memory which is missing in the file; empty: there is none
    """

    path: Path
    format: str
    machine: str | None
    byte_order: ByteOrder
    ranges: tuple[tuple[int, int], ...]
    frames: Callable[[int], MemorySource] = field(repr=False)
    notes: tuple[CoreNote, ...] = ()
    vmcoreinfo: VmcoreInfo | None = None
    warnings: tuple[str, ...] = ()
    parts: int = 1
    remedy: str = ""


@dataclass(frozen=True, eq=False)
class DumpInput:
    """Files from which a dump is opened: one, or all parts of a dump that was split.

    paths       the files
    contents    their bytes
    memory_map  file with a map, for memory without any header
    """

    paths: tuple[Path, ...]
    contents: tuple[Content, ...]
    memory_map: Path | None = None

    @property
    def path(self) -> Path:
        """The first file."""
        return self.paths[0]

    @property
    def content(self) -> Content:
        """Bytes of the first file."""
        return self.contents[0]


#: Reader of a format: returns the dump, or None for a file of another format.
DumpReader = Callable[[DumpInput], Dump | None]
#: Readers by the names of their formats, as the hook `hvolab_dump_formats` returns them.
DumpReaders = Mapping[str, DumpReader]


def vmcoreinfo_of(notes: tuple[CoreNote, ...], path: Path) -> tuple[VmcoreInfo | None, tuple[str, ...]]:
    """Return the parsed VMCOREINFO note, None without such a note; and warnings about odd ones.

    Of several notes that differ, the one with the most numbers counts, and of those alike the first.
    """
    texts = list(dict.fromkeys(note.data for note in notes if note.name == _VMCOREINFO))
    usable, warnings = list[VmcoreInfo](), list[str]()
    for text in texts:
        try:
            usable.append(parse_vmcoreinfo(text, where=f"{path}, note VMCOREINFO"))
        except CoreFileError as error:
            warnings.append(f"{UNUSABLE}: {error.what}")
    found = max(usable, key=lambda info: len(info.values), default=None)
    if len(texts) > 1:
        warnings.append(f"there are {len(texts)} VMCOREINFO notes that differ: the one with the most numbers is used")
    return found, (*warnings, *(found.warnings if found else ()))
