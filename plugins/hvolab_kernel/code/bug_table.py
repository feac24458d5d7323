"""A kernel's table of BUG() and WARN(): the kind of each trapping instruction, and its line of source.

Both compile to the same instruction: ud2 on x86_64, ebreak on riscv, brk on arm64. The kernel distinguishes them by
their entries in the section `__bug_table`, which it searches when the CPU traps.
Kernel: struct bug_entry in include/asm-generic/bug.h, report_bug() in lib/bug.c, v6.12.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.kernel import Kernel, cached_per_kernel

_ENTRY: Final = "bug_entry"
_BOUNDS: Final = ("__start___bug_table", "__stop___bug_table")
#: Kernel: BUGFLAG_WARNING, a macro, which type information does not have.
_WARNING: Final = 1 << 0
_LONGEST_PATH: Final = 256


@dataclass(frozen=True)
class BugEntry:
    """An entry: whether it is a WARN(); file and line, empty where the kernel was built without DEBUG_BUGVERBOSE."""

    warning: bool
    source: str


@dataclass(frozen=True)
class _EntryLayout:
    """Size of an entry, offsets of its members (None: not a member), and whether places are relative."""

    size: int
    place: int
    flags: int
    path: int | None
    line: int | None
    relative: bool


class BugTable:
    """All entries, by the VA of the instruction.

    known  whether the table can be read: it is found by symbols and type information
    """

    def __init__(self, kernel: Kernel) -> None:
        self._image = kernel.image
        self._layout = _layout(kernel)
        self.known = self._layout is not None
        self._start = kernel.symbols.address(_BOUNDS[0]) if self.known else 0
        self._entries = _entries(kernel, self._start, self._layout)

    def at(self, va: int) -> BugEntry | None:
        """Return the entry of the instruction at a VA; None where it has none or the table is not known."""
        layout = self._layout
        found = np.flatnonzero(self.addresses == np.uint64(va))
        if layout is None or not found.size:
            return None
        entry = self._start + int(found[0]) * layout.size
        warning = bool(self._image.word(entry + layout.flags, 2) & _WARNING)
        return BugEntry(warning, self._source(entry, layout))

    @functools.cached_property
    def addresses(self) -> NDArray[np.uint64]:
        """VAs of the instructions, in the table's order."""
        layout, table = self._layout, self._entries
        if layout is None:
            return np.empty(0, np.uint64)
        if not layout.relative:
            return table[:, layout.place : layout.place + 8].copy().view("<u8").ravel()
        distances = table[:, layout.place : layout.place + 4].copy().view("<i4").ravel().astype(np.int64)
        places = np.arange(len(table), dtype=np.int64) * layout.size + layout.place
        return (distances + places).view(np.uint64) + np.uint64(self._start)

    def _source(self, entry: int, layout: _EntryLayout) -> str:
        """Return file and line, as the kernel names them."""
        if layout.line is None or layout.path is None:
            return ""
        image, place = self._image, entry + layout.path
        if layout.relative:
            distance = image.word(place, 4)
            path = place + distance - (distance >> 31 << 32)
        else:
            path = image.word(place)
        segment = image.segment_of(path)
        size = 0 if segment is None else min(_LONGEST_PATH, segment.end - path)
        name = image.read(path, size).partition(b"\0")[0].decode("latin-1") if size else "?"
        return f"{name}:{image.word(entry + layout.line, 2)}"


def _layout(kernel: Kernel) -> _EntryLayout | None:
    """Return the layout of entries; None where symbols or types for it are missing."""
    if kernel.table is None or kernel.btf is None or kernel.types.find(_ENTRY) is None:
        return None
    start, stop = map(kernel.symbols.find, _BOUNDS)
    if start is None or stop is None or start >= stop:
        return None

    def offset(*names: str) -> int | None:
        found = [kernel.types.offset(_ENTRY, one) for one in names if kernel.types.has_member(_ENTRY, one)]
        return found[0] if found else None

    place, flags = offset("bug_addr_disp", "bug_addr"), offset("flags")
    if place is None or flags is None:
        return None
    relative = kernel.types.has_member(_ENTRY, "bug_addr_disp")
    return _EntryLayout(kernel.types.size(_ENTRY), place, flags, offset("file_disp", "file"), offset("line"), relative)


def _entries(kernel: Kernel, start: int, layout: _EntryLayout | None) -> NDArray[np.uint8]:
    """Return the bytes of the table, one row for each entry."""
    if layout is None:
        return np.empty((0, 0), np.uint8)
    count = (kernel.symbols.address(_BOUNDS[1]) - start) // layout.size
    return np.frombuffer(kernel.image.read(start, count * layout.size), np.uint8).reshape(count, layout.size)


@cached_per_kernel
def bug_table_of(kernel: Kernel) -> BugTable:
    """Return the kernel's table, indexed on first use."""
    return BugTable(kernel)
