# SPDX-License-Identifier: GPL-2.0-only
"""Memory core of a real kernel: its ranges of physical memory and its notes.

A memory core is an ELF64 ET_CORE file, as kdump and QEMU write it: one PT_LOAD segment for each range of physical
memory, with its PA in p_paddr.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.content import Content, open_content
from hvolab_vmcore.files.dump import CUT_SHORT, Dump, DumpInput, vmcoreinfo_of
from hvolab_vmcore.files.elf import ELF_MAGIC, ByteOrder, CoreNote, ProgramHeader, damaged, read_headers, read_notes
from hvolab_vmcore.files.extents import DisagreementError, Extent, ExtentFrames, merged
from hvolab_vmcore.files.live import changes

_PHYSICAL_END = 1 << 64
#: p_paddr of a segment without a PA: kernel memory that is not in the direct map, in /proc/kcore.
#: Kernel: kclist_add() and elf_phdr in fs/proc/kcore.c, v6.12.
_NO_PA = _PHYSICAL_END - 1


@dataclass(frozen=True)
class CoreSegment:
    """Range of physical memory in a core.

    physical   PA of its first byte
    virtual    VA of its first byte; often 0, since a core of physical memory needs none
    size       bytes of memory; those after `file_size` were not saved: makedumpfile -E excludes pages so
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
class CoreFile(Dump):
    """ELF core that was opened.

    segments  its segments with a PA, sorted by PA; those that overlap have the same bytes there
    """

    segments: tuple[CoreSegment, ...] = ()
    _content: Content | None = field(default=None, repr=False)

    def data(self, segment: CoreSegment) -> NDArray[np.uint8]:
        """Return a copy of the `file_size` bytes of a segment."""
        return np.frombuffer(self._content.read(segment.offset, segment.file_size) if self._content else b"", np.uint8)


def open_core(path: str | os.PathLike[str], *, max_size: int | None = None) -> CoreFile:
    """Open the ELF64 core at `path`, which may be compressed (.xz, .gz, .zst, whatever its name).

    max_size  largest decompressed size in bytes; by default 64 GiB or this computer's memory, whichever is less
    An uncompressed file is mapped and must not be truncated while the result is in use.
    Raises CoreFileError, with file and offset, for anything that is not such a core.
    """
    file = Path(path)
    content = open_content(file, max_size=max_size)
    found = read_elf_core(DumpInput((file,), (content,)))
    if found is None:
        what = f"this is not an ELF file: it begins with {content.read(0, 4).hex(' ') or 'nothing'}"
        hint = "name a memory core as kdump or QEMU's dump-guest-memory make it"
        raise damaged(what, file, "byte 0", "System V ABI, ELF identification: 7f 45 4c 46", hint)
    return found


def read_elf_core(source: DumpInput) -> CoreFile | None:
    """Return the ELF core, None for a file that is not ELF; raises CoreFileError as :func:`open_core`."""
    content, path = source.content, source.path
    if content.read(0, len(ELF_MAGIC)) != ELF_MAGIC:
        return None
    machine, byte_order, headers = read_headers(content, path)
    loads = [header for header in headers if header.kind == "PT_LOAD" and header.size]
    with_pa = [header for header in loads if header.physical != _NO_PA]
    if not with_pa:
        what = "the core holds no memory: it has no PT_LOAD segment" + (" with a PA" if loads else "")
        raise CoreFileError(what, where=str(path), hint="dump the memory again")
    segments = tuple(
        sorted((_segment(load, content.size, path) for load in with_pa), key=lambda one: (one.physical, -one.size))
    )
    extents = _extents(segments, content, path)
    ranges = tuple((one.physical, one.end) for one in segments)
    notes, left_out = _notes(headers, content, byte_order)
    info, odd = vmcoreinfo_of(notes, path)
    return CoreFile(
        path=path,
        format="ELF core",
        machine=machine.name,
        byte_order=byte_order,
        ranges=ranges,
        frames=partial(ExtentFrames, content, extents, ranges),
        notes=notes,
        vmcoreinfo=info,
        warnings=(*_warnings(loads, with_pa, headers, content.size), *left_out, *odd),
        remedy=CUT_SHORT if any(one.file_size > _within(one, content.size) for one in loads) else "",
        segments=segments,
        _content=content,
    )


def _warnings(
    loads: list[ProgramHeader], with_pa: list[ProgramHeader], headers: tuple[ProgramHeader, ...], size: int
) -> list[str]:
    """Return what is missing in a file of that size."""
    end = max((one.offset + one.file_size for one in headers if one.file_size), default=0)
    found = []
    if end > size:
        missing = sum(one.file_size - _within(one, size) for one in loads)
        found.append(
            f"the file is cut short: it has {size:#x} bytes, its headers describe {end:#x}; "
            f"{missing:#x} bytes of memory are missing"
        )
    if without := len(loads) - len(with_pa):
        found.append(f"segments without a PA, left out: {without}")
    return found


def _within(header: ProgramHeader, content_size: int) -> int:
    """Return the bytes of a segment that are within the file."""
    return max(0, min(header.file_size, content_size - header.offset))


def _segment(header: ProgramHeader, content_size: int, path: Path) -> CoreSegment:
    """Return the segment of one PT_LOAD header; raise CoreFileError for ranges that are impossible.

    The offset of a segment without bytes is of no meaning: QEMU writes -1 there.
    """
    if header.file_size > header.size or header.physical + header.size > _PHYSICAL_END:
        sizes = f"{header.file_size:#x} bytes in the file for {header.size:#x} of memory at PA {header.physical:#x}"
        rule = "System V ABI, program header: p_filesz is not larger than p_memsz; and a PA has 64 bits"
        raise damaged(f"segment {header.index} has {sizes}", path, f"program header {header.index}", rule)
    return CoreSegment(header.physical, header.virtual, header.size, header.offset, _within(header, content_size))


def _extents(segments: tuple[CoreSegment, ...], content: Content, path: Path) -> tuple[Extent, ...]:
    """Return the bytes of the segments without overlaps.

    kdump adds a segment for the kernel's image, with its VA, to the segment of the memory around it.
    Kernel: crash_prepare_elf64_headers() in kernel/crash_core.c, v6.12.
    """
    saved = [Extent(one.physical, one.physical + one.file_size, one.offset) for one in segments if one.file_size]
    try:
        return merged(saved, content, agree=changes(content))
    except DisagreementError as error:
        one, other = error.args
        ranges = " and ".join(f"{each.start:#x}-{each.end:#x}" for each in (one, other))
        raise damaged(
            f"two segments overlap and disagree: PA {ranges}",
            path,
            f"bytes {one.offset:#x} and {other.offset:#x}",
            "one physical page has one content",
            "if this is the core of a process, dump the kernel's memory; else dump again (QEMU: without -p)",
        ) from error


def _notes(
    headers: tuple[ProgramHeader, ...], content: Content, byte_order: ByteOrder
) -> tuple[tuple[CoreNote, ...], list[str]]:
    """Return the notes of all PT_NOTE segments that are within the file, and warnings about those that are damaged."""
    found, warnings = list[CoreNote](), list[str]()
    for header in headers:
        if header.kind == "PT_NOTE" and header.offset + header.file_size <= content.size:
            notes, left_out = read_notes(content.read(header.offset, header.file_size), header.offset, byte_order)
            found += notes
            warnings += left_out
    return tuple(found), warnings
