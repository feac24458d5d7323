"""A kernel's table of BUG() and WARN(): which instruction is which, and the line of source that it stands for.

Both are the same instruction: ud2 on x86_64, ebreak on riscv, brk on arm64. What tells them apart is the entry that
each has in the section `__bug_table`, which is searched when the CPU traps there.
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
#: Kernel: BUGFLAG_WARNING, a macro, so that no type information tells it.
_WARNING: Final = 1 << 0
_LONGEST_PATH: Final = 256


@dataclass(frozen=True)
class BugEntry:
    """One entry: whether it is a WARN(); file and line, empty where the kernel was built without DEBUG_BUGVERBOSE."""

    warning: bool
    source: str


@dataclass(frozen=True)
class _Form:
    """An entry's bytes, the offsets of its members (None: it has no such one), and whether places are distances."""

    size: int
    place: int
    flags: int
    path: int | None
    line: int | None
    relative: bool


class BugTable:
    """All entries, by the VA of the instruction.

    known  whether the kernel has a table that can be read: without symbols and type information none is found
    """

    def __init__(self, kernel: Kernel) -> None:
        self._image = kernel.image
        self._form = _form(kernel)
        self.known = self._form is not None
        self._start = kernel.symbols.address(_BOUNDS[0]) if self.known else 0
        self._entries = _entries(kernel, self._start, self._form)

    def at(self, va: int) -> BugEntry | None:
        """The entry of the instruction at a VA; None where it has none, and where the table is not known."""
        form = self._form
        found = np.flatnonzero(self.addresses == np.uint64(va))
        if form is None or not found.size:
            return None
        entry = self._start + int(found[0]) * form.size
        warning = bool(self._image.word(entry + form.flags, 2) & _WARNING)
        return BugEntry(warning, self._source(entry, form))

    @functools.cached_property
    def addresses(self) -> NDArray[np.uint64]:
        """VA of the instruction of each entry, in the table's order."""
        form, table = self._form, self._entries
        if form is None:
            return np.empty(0, np.uint64)
        if not form.relative:
            return table[:, form.place : form.place + 8].copy().view("<u8").ravel()
        distances = table[:, form.place : form.place + 4].copy().view("<i4").ravel().astype(np.int64)
        places = np.arange(len(table), dtype=np.int64) * form.size + form.place
        return (distances + places).view(np.uint64) + np.uint64(self._start)

    def _source(self, entry: int, form: _Form) -> str:
        """File and line, as the kernel names them."""
        if form.line is None or form.path is None:
            return ""
        image, place = self._image, entry + form.path
        if form.relative:
            distance = image.word(place, 4)
            path = place + distance - (distance >> 31 << 32)
        else:
            path = image.word(place)
        segment = image.segment_of(path)
        size = 0 if segment is None else min(_LONGEST_PATH, segment.end - path)
        name = image.read(path, size).partition(b"\0")[0].decode("latin-1") if size else "?"
        return f"{name}:{image.word(entry + form.line, 2)}"


def _form(kernel: Kernel) -> _Form | None:
    """How entries look, if the kernel tells where they are and what is in them."""
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
    return _Form(kernel.types.size(_ENTRY), place, flags, offset("file_disp", "file"), offset("line"), relative)


def _entries(kernel: Kernel, start: int, form: _Form | None) -> NDArray[np.uint8]:
    """The bytes of the table, a row for each entry."""
    if form is None:
        return np.empty((0, 0), np.uint8)
    count = (kernel.symbols.address(_BOUNDS[1]) - start) // form.size
    return np.frombuffer(kernel.image.read(start, count * form.size), np.uint8).reshape(count, form.size)


@cached_per_kernel
def bug_table_of(kernel: Kernel) -> BugTable:
    """The kernel's table, indexed when it is first asked."""
    return BugTable(kernel)
