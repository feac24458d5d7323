# SPDX-License-Identifier: GPL-2.0-only
"""Memory core of a real kernel: its ranges of physical memory and its notes.

A memory core is an ELF64 ET_CORE file, as kdump and QEMU write it: one PT_LOAD segment for each range of physical
memory, with its PA in p_paddr.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hvolab.errors import CoreFileError
from hvolab_vmcore.core.elf import ByteOrder, CoreNote, ElfMachine, ProgramHeader, damaged, read_headers, read_notes
from hvolab_vmcore.core.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo
from hvolab_vmlinux.containers.files import read_file

_PHYSICAL_END = 1 << 64


@dataclass(frozen=True)
class CoreSegment:
    """Range of physical memory in a core.

    physical   PA of its first byte
    virtual    VA of its first byte; often 0, since a core of physical memory needs none
    size       bytes of memory; those after `file_size` are zero by the ELF specification (pages that makedumpfile -E
               excluded look the same)
    offset     offset of its bytes in the uncompressed file
    file_size  bytes of it that are in the file
    """

    physical: int
    virtual: int
    size: int
    offset: int
    file_size: int

    @property
    def end(self) -> int:
        """PA after its last byte."""
        return self.physical + self.size


@dataclass(frozen=True, eq=False)
class CoreFile:
    """Memory core that was opened.

    path        the file
    machine     number and name of its e_machine
    byte_order  'little' or 'big', of the headers and of memory
    segments    its physical memory, sorted by PA, without overlaps
    duplicates  segments that repeat memory of `segments` byte for byte: kdump adds the kernel's image with its VA
    notes       all notes, raw, in the order of the file
    vmcoreinfo  the parsed VMCOREINFO note, or None without such a note
    """

    path: Path
    machine: ElfMachine
    byte_order: ByteOrder
    segments: tuple[CoreSegment, ...]
    duplicates: tuple[CoreSegment, ...]
    notes: tuple[CoreNote, ...]
    vmcoreinfo: VmcoreInfo | None
    _content: NDArray[np.uint8] = field(repr=False)

    def data(self, segment: CoreSegment) -> NDArray[np.uint8]:
        """Return a read-only view of the `file_size` bytes of a segment; the rest of the segment is zero."""
        return self._content[segment.offset : segment.offset + segment.file_size]


def open_core(path: str | os.PathLike[str], *, max_size: int | None = None) -> CoreFile:
    """Open the ELF64 core at `path`, which may be compressed (.xz, .gz, .zst, whatever its name).

    max_size  largest decompressed size in bytes; by default 64 GiB or this computer's memory, whichever is less
    An uncompressed file is mapped and must not be truncated while the result is in use.
    Raises CoreFileError, with file and offset, for anything that is not such a core.
    """
    file = Path(path)
    content = read_file(file, CoreFileError, max_size=max_size)
    machine, byte_order, headers = read_headers(content, file)
    loads = [header for header in headers if header.kind == "PT_LOAD" and header.size]
    if not loads:
        what = "the core holds no memory: it has no PT_LOAD segment"
        raise CoreFileError(what, where=str(file), hint="dump the memory again")
    segments, duplicates = _without_duplicates([_segment(load, content.size, file) for load in loads], content, file)
    notes = _notes(headers, content, byte_order, file)
    return CoreFile(file, machine, byte_order, segments, duplicates, notes, _vmcoreinfo(notes, file), content)


def _segment(header: ProgramHeader, content_size: int, path: Path) -> CoreSegment:
    """Return the segment of one PT_LOAD header; raise CoreFileError for ranges that are impossible."""
    _check_in_file(header, content_size, path)
    if header.file_size > header.size or header.physical + header.size > _PHYSICAL_END:
        sizes = f"{header.file_size:#x} bytes in the file for {header.size:#x} of memory at PA {header.physical:#x}"
        rule = "System V ABI, program header: p_filesz is not larger than p_memsz; and a PA has 64 bits"
        raise damaged(f"segment {header.index} has {sizes}", path, f"program header {header.index}", rule)
    return CoreSegment(header.physical, header.virtual, header.size, header.offset, header.file_size)


def _check_in_file(header: ProgramHeader, content_size: int, path: Path) -> None:
    """Raise CoreFileError for a segment whose bytes are not within the file.

    The offset of a segment without bytes is not checked: QEMU writes -1 there.
    """
    if header.file_size and header.offset + header.file_size > content_size:
        end = f"byte {header.offset + header.file_size:#x}, but the file has {content_size:#x}"
        raise damaged(
            f"segment {header.index} ({header.kind}) ends at {end}",
            path,
            f"program header {header.index}, offset {header.offset:#x}",
            "System V ABI, program header: p_offset and p_filesz are within the file",
            "copy the file again: this copy is truncated or damaged",
        )


def _without_duplicates(
    segments: list[CoreSegment], content: NDArray[np.uint8], path: Path
) -> tuple[tuple[CoreSegment, ...], tuple[CoreSegment, ...]]:
    """Sort by PA, and separate the segments that only repeat memory of another.

    kdump adds a segment for the kernel's image, with its VA, to the segment of the memory around it.
    Kernel: crash_prepare_elf64_headers() in kernel/crash_core.c, v6.12.
    """
    kept, duplicates = list[CoreSegment](), list[CoreSegment]()
    for segment in sorted(segments, key=lambda each: (each.physical, -each.size)):
        if not kept or segment.physical >= kept[-1].end:
            kept.append(segment)
        elif segment.end <= kept[-1].end and _repeats(segment, kept[-1], content):
            duplicates.append(segment)
        else:
            ranges = " and ".join(f"{each.physical:#x}-{each.end:#x}" for each in (kept[-1], segment))
            what, rule = f"two segments overlap and disagree: PA {ranges}", "one physical page has one content"
            place = f"bytes {kept[-1].offset:#x} and {segment.offset:#x}"
            hint = "if this is the core of a process, dump the kernel's memory; else dump again (QEMU: without -p)"
            raise damaged(what, path, place, rule, hint)
    return tuple(kept), tuple(duplicates)


def _repeats(inner: CoreSegment, outer: CoreSegment, content: NDArray[np.uint8]) -> bool:
    """Return whether `inner`, a range within `outer`, has the same bytes, including zeros after their file sizes."""
    skip = inner.physical - outer.physical
    mine = content[inner.offset : inner.offset + inner.file_size]
    outer_file_size = min(max(outer.file_size - skip, 0), inner.size)
    theirs = content[outer.offset + skip : outer.offset + skip + outer_file_size]
    common = min(mine.size, theirs.size)
    same = np.array_equal(mine[:common], theirs[:common])
    return same and not mine[common:].any() and not theirs[common:].any()


def _notes(
    headers: tuple[ProgramHeader, ...], content: NDArray[np.uint8], byte_order: ByteOrder, path: Path
) -> tuple[CoreNote, ...]:
    """Return the notes of all PT_NOTE segments."""
    found: list[CoreNote] = []
    for header in headers:
        if header.kind == "PT_NOTE":
            _check_in_file(header, content.size, path)
            segment = content[header.offset : header.offset + header.file_size].tobytes()
            found += read_notes(segment, header.offset, byte_order, path)
    return tuple(found)


def _vmcoreinfo(notes: tuple[CoreNote, ...], path: Path) -> VmcoreInfo | None:
    """Return the parsed VMCOREINFO note, None without such a note."""
    texts = {note.data for note in notes if note.name == "VMCOREINFO"}
    if len(texts) > 1:
        rule = "a kernel writes one VMCOREINFO note"
        raise damaged(f"the core has {len(texts)} VMCOREINFO notes that differ", path, "program headers", rule)
    return parse_vmcoreinfo(texts.pop(), where=f"{path}, note VMCOREINFO") if texts else None
