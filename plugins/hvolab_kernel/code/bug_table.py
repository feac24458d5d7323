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
_MEMBERS: Final = (("bug_addr", "<u8"), ("file", "<u8"), ("line", "<u2"), ("flags", "<u2"))
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
        self._start, self._entries = _entries(kernel)
        self.known = bool(self._entries.dtype.itemsize)
        self.addresses = self._pointers("bug_addr")

    def at(self, va: int) -> BugEntry | None:
        """Return the entry of the instruction at a VA; None where it has none or the table is not known."""
        found = np.flatnonzero(self.addresses == np.uint64(va))
        if not found.size:
            return None
        entry = self._entries[found[0]]
        return BugEntry(bool(entry["flags"] & _WARNING), self._source(int(found[0])))

    def _source(self, index: int) -> str:
        """Return file and line, as the kernel names them."""
        if not {"file", "line"} <= set(self._entries.dtype.names or ()):
            return ""
        path = int(self._pointers("file")[index])
        segment = self._image.segment_of(path)
        size = 0 if segment is None else min(_LONGEST_PATH, segment.end - path)
        name = self._image.read(path, size).partition(b"\0")[0].decode("latin-1") if size else "?"
        return f"{name}:{self._entries['line'][index]}"

    def _pointers(self, name: str) -> NDArray[np.uint64]:
        """Return a member of all entries as VAs; a distance counts from its own place."""
        layout = self._entries.dtype
        if not layout.fields:
            return np.empty(0, np.uint64)
        values = self._entries[name]
        if values.dtype.kind == "u":
            return values.astype(np.uint64)
        places = np.arange(len(values), dtype=np.int64) * layout.itemsize + layout.fields[name][1]
        return (values + places).view(np.uint64) + np.uint64(self._start)


def _entries(kernel: Kernel) -> tuple[int, NDArray[Any]]:
    """Return VA and entries of the table; entries without members where symbols or types for it are missing."""
    members: dict[str, tuple[str, int]] = {}
    start, stop = (None, None) if kernel.table is None else map(kernel.symbols.find, _BOUNDS)
    if start is not None and stop is not None and kernel.btf is not None:
        for name, kind in _MEMBERS:
            for member, code in ((name, kind), (f"{name}_disp", "<i4")):
                if kernel.types.has_member(_ENTRY, member):
                    members[name] = code, kernel.types.offset(_ENTRY, member)
    if start is None or stop is None or start >= stop or not {"bug_addr", "flags"} <= members.keys():
        return 0, np.empty(0, np.dtype([]))
    formats, offsets = zip(*members.values(), strict=True)
    size = kernel.types.size(_ENTRY)
    layout = np.dtype({"names": list(members), "formats": formats, "offsets": offsets, "itemsize": size})
    return start, np.frombuffer(kernel.image.read(start, (stop - start) // size * size), layout)


@cached_per_kernel
def bug_table_of(kernel: Kernel) -> BugTable:
    """Return the kernel's table, indexed on first use."""
    return BugTable(kernel)
