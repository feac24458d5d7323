# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's table of BUG() and WARN(): the kind of each trapping instruction, and its line of source.

Both compile to the same instruction: ud2 on x86_64, ebreak on riscv, brk on arm64. The kernel distinguishes them by
their entries in the section `__bug_table`, which it searches when the CPU traps.
Kernel: struct bug_entry in include/asm-generic/bug.h, report_bug() in lib/bug.c, v6.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.kernel import Kernel, cached_per_kernel

_ENTRY: Final = "bug_entry"
_BOUNDS: Final = ("__start___bug_table", "__stop___bug_table")
#: Members of an entry. Most kernels have signed distances, as members of the name with `_disp`, for the pointers.
_MEMBERS: Final = {"bug_addr": "<u8", "file": "<u8", "line": "<u2", "flags": "<u2"}
#: Kernel: BUGFLAG_WARNING, a macro, which type information does not have.
_WARNING: Final = 1 << 0
_LONGEST_PATH: Final = 256


@dataclass(frozen=True)
class BugEntry:
    """An entry: whether it is a WARN(); file and line, empty where the kernel was built without DEBUG_BUGVERBOSE."""

    warning: bool
    source: str


class BugTable:
    """All entries, by the VA of the instruction.

    known      whether the table can be read: it is found by symbols and type information
    addresses  VAs of the instructions, in the table's order
    """

    def __init__(self, kernel: Kernel) -> None:
        self._image = kernel.image
        self._members = _members(kernel)
        self.known = bool(self._members)
        self.addresses = self._members.get("bug_addr", np.empty(0, np.uint64))

    def at(self, va: int) -> BugEntry | None:
        """Return the entry of the instruction at a VA; None where it has none or the table is not known."""
        found = np.flatnonzero(self.addresses == np.uint64(va))
        if not found.size:
            return None
        entry = {name: int(values[found[0]]) for name, values in self._members.items()}
        source = f"{self._path(entry['file'])}:{entry['line']}" if {"file", "line"} <= entry.keys() else ""
        return BugEntry(bool(entry["flags"] & _WARNING), source)

    def _path(self, va: int) -> str:
        segment = self._image.segment_of(va)
        size = 0 if segment is None else min(_LONGEST_PATH, segment.end - va)
        return self._image.read(va, size).partition(b"\0")[0].decode("latin-1") if size else "?"


def _members(kernel: Kernel) -> dict[str, NDArray[Any]]:
    """Return each member of all entries, pointers as VAs; none where symbols or types for them are missing."""
    start, stop = (None, None) if kernel.table is None else map(kernel.symbols.find, _BOUNDS)
    layout = None if kernel.btf is None else kernel.types.find(_ENTRY)
    if start is None or stop is None or start >= stop or layout is None:
        return {}
    count = (stop - start) // layout.size
    content = kernel.image.read(start, count * layout.size)
    places = np.arange(count, dtype=np.uint64) * np.uint64(layout.size) + np.uint64(start)
    found: dict[str, NDArray[Any]] = {}
    for name, kind in _MEMBERS.items():
        for member, code in ((name, kind), (f"{name}_disp", "<i4")):
            if kernel.types.has_member(_ENTRY, member):
                offset = kernel.types.offset(_ENTRY, member)
                values = np.ndarray(count, code, content, offset, (layout.size,)).astype(np.uint64)
                found[name] = values if code == kind else values + places + np.uint64(offset)
    return found if {"bug_addr", "flags"} <= found.keys() else {}


#: The kernel's table, indexed on first use.
bug_table_of: Final = cached_per_kernel(BugTable)
