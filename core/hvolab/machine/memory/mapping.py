# SPDX-License-Identifier: GPL-2.0-only
"""Private memory of this process whose bytes are saved and restored by the host's page tables, not by copies.

A saved state becomes a file in memory that the same addresses map privately. Stores go to private copies of its
pages; dropping these copies restores the state, at a cost that does not depend on the size. The addresses never
change, so views of the memory, and emulators that map it by pointer, see saved and restored bytes alike.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from fcntl import ioctl
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES, div_round_up
from hvolab.arrays import consecutive_runs, runs

# Python 3.11's mmap does not name it; 0x4000 on Linux for every architecture that Python runs on here.
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
_MAP_FIXED = 0x10
_PAGEMAP = Path("/proc/self/pagemap")
#: Flags of a pagemap entry: the page is in memory; swapped out; of a file (a private copy is not).
#: Kernel: Documentation/admin-guide/mm/pagemap.rst.
_PRESENT, _SWAPPED, _OF_FILE = (np.uint64(1 << bit) for bit in (63, 62, 61))
_PAGES_AT_ONCE = 1 << 20
#: ioctl of a pagemap, and its categories. Kernel: PAGEMAP_SCAN in include/uapi/linux/fs.h, since v6.7.
_PAGEMAP_SCAN = 0xC0606610
_IS_FILE, _IS_PRESENT, _IS_SWAPPED = (1 << bit for bit in (2, 3, 4))
_RUNS_AT_ONCE = 1 << 10
#: Runs of pages in one saved state at most: the host limits a process's mappings (vm.max_map_count).
_MOST_RUNS = 1024
#: Bytes of a part of the contents: more than a page, fewer than a superpage.
_PART = 1 << 16
#: Runs of host pages: the first, and one past the last.
Runs = list[tuple[int, int]]


def reserve(size: int) -> mmap.mmap:
    """Return zeroed private memory of ``size`` bytes, backed when touched; the host does not count it in advance.

    Raises OSError, ValueError or OverflowError where the host does not map as much.
    """
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)


class RestorableMapping:
    """Zeroed private memory of ``size`` bytes, backed page by page when touched.

    buffer  the memory as a buffer
    octets  the same, uint8
    """

    def __init__(self, size: int) -> None:
        self.buffer = reserve(size)
        self.octets: npt.NDArray[np.uint8] = np.frombuffer(self.buffer, dtype=np.uint8)
        self._image: _Image | None = None
        _MAPPINGS.add(self)

    @classmethod
    def holding(cls, size: int, parts: Sequence[tuple[int, bytes]]) -> Self:
        """Return a mapping with these contents."""
        mapping = cls(size)
        for start, data in parts:
            mapping.octets[start : start + len(data)] = np.frombuffer(data, np.uint8)
        return mapping

    @classmethod
    def at(cls, address: int) -> RestorableMapping | None:
        """Return the mapping of this process that holds a host address; None if there is none."""
        for mapping in _MAPPINGS:
            if 0 <= address - mapping.octets.ctypes.data < mapping.octets.size:
                return mapping
        return None

    def contents(self) -> list[tuple[int, bytes]]:
        """Return the offset and the bytes of each part that may not be zero."""
        image, parts = self._image, _private_parts(self.octets)
        saved = [] if image is None else image.parts()
        starts = [start for first, last in (*parts, *saved) for start in range(first - first % _PART, last, _PART)]
        runs = ((start, self.octets[start : start + _PART]) for start in dict.fromkeys(starts))
        return [(start, run.tobytes()) for start, run in sorted(runs, key=lambda run: run[0]) if run.any()]

    def zero(self, start: int, size: int) -> None:
        """Zero ``size`` bytes at offset ``start``, both whole host pages, and return them to the host if possible."""
        if self._image is None:
            self.buffer.madvise(mmap.MADV_DONTNEED, start, size)
        else:  # dropped pages would show the saved state
            self.octets[start : start + size] = 0

    def save(self) -> Callable[[], None]:
        """Save the bytes; return the function that restores them, which may be called any number of times.

        States may be restored in any order. A state keeps the one before it, of which it holds only the changes.
        Raises OSError where the host has no memory, file descriptor or mapping left.
        """
        image = self._image = _Image(self.octets, self._image)
        image.map_runs()

        def restore() -> None:
            if self._image is image:
                self.buffer.madvise(mmap.MADV_DONTNEED)
            else:
                image.map()
                self._image = image

        return restore

    def changed(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the parts of ``[start, stop)`` that may differ from the state saved or restored last, as offsets.

        Parts consist of host pages. Without a saved state, and where the host does not report it, they cover all that
        was ever stored to.
        """
        first = start - start % mmap.PAGESIZE
        parts = _private_parts(self.octets[first:stop])
        return [(max(start, first + begin), first + end) for begin, end in parts]


#: Mappings of this process.
_MAPPINGS: weakref.WeakSet[RestorableMapping] = weakref.WeakSet()


class _Image:
    """One saved state: a file with the pages that changed since the parent's state, and with all pages without one."""

    def __init__(self, octets: npt.NDArray[np.uint8], parent: _Image | None) -> None:
        self._octets = octets
        self._parent = parent
        self._file = os.memfd_create("hvolab")
        weakref.finalize(self, os.close, self._file)
        os.ftruncate(self._file, octets.size)
        changed = _private_parts(octets)
        for start, stop in changed:
            while start < stop:
                start += os.pwrite(self._file, octets[start:stop].data, start)  # noqa: PLW2901 - it may write a part
        self._runs = changed if parent else [(0, octets.size)]

    def parts(self) -> list[tuple[int, int]]:
        """Return the ranges of offsets that this state and those before it have in files."""
        found = [] if self._parent is None else self._parent.parts()
        size, stop = self._octets.size, 0
        with suppress(OSError):  # ENXIO: there are no data beyond
            while stop < size:
                start = os.lseek(self._file, stop, os.SEEK_DATA)
                stop = os.lseek(self._file, start, os.SEEK_HOLE)
                found.append((start, stop))
        return found

    def map(self) -> None:
        """Let the addresses show this state."""
        if self._parent is not None:
            self._parent.map()
        self.map_runs()

    def map_runs(self) -> None:
        """Let the addresses show what this state has beyond its parent's."""
        address, protection = self._octets.ctypes.data, mmap.PROT_READ | mmap.PROT_WRITE
        flags = mmap.MAP_PRIVATE | _MAP_FIXED | _MAP_NORESERVE
        for start, stop in self._runs:
            if _libc().mmap(address + start, stop - start, protection, flags, self._file, start) != address + start:
                error = ctypes.get_errno()
                raise OSError(error, os.strerror(error))


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    return libc


class _ScanArgument(ctypes.Structure):
    """Argument of the ioctl. Kernel: struct pm_scan_arg in include/uapi/linux/fs.h, v6.7."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("size", "flags", "start", "end", "walk_end", "vec", "vec_len", "max_pages"),
            *("category_inverted", "category_mask", "category_anyof_mask", "return_mask"),
        )
    )


def _private_parts(octets: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Return the parts of a mapping that are private copies, as offsets; all of it where the host does not report it.

    They consist of host pages. The nearest are joined if there are too many.
    """
    pages, first = div_round_up(octets.size, mmap.PAGESIZE), octets.ctypes.data // mmap.PAGESIZE
    try:
        file = os.open(_PAGEMAP, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return [(0, octets.size)]
    try:
        found = _scanned(file, first, pages)
        if found is None:
            found = _read_one_by_one(file, first, pages)
    except OSError:
        return [(0, octets.size)]
    finally:
        os.close(file)
    return _bytes_of(found, octets.size)


def _scanned(file: int, first: int, pages: int) -> Runs | None:
    """Return runs of the private pages among ``pages`` host pages from number ``first`` on, as first and one past last.

    None: the host has no such scan. It takes a tenth of the time of reading an entry for each page.
    """
    found: Runs = []
    regions = np.empty((_RUNS_AT_ONCE, 3), dtype=np.uint64)
    start, end = first * mmap.PAGESIZE, (first + pages) * mmap.PAGESIZE
    while start < end:
        argument = _ScanArgument(
            size=ctypes.sizeof(_ScanArgument),
            start=start,
            end=end,
            vec=regions.ctypes.data,
            vec_len=_RUNS_AT_ONCE,
            category_inverted=_IS_FILE,
            category_mask=_IS_FILE,
            category_anyof_mask=_IS_PRESENT | _IS_SWAPPED,
        )
        try:
            count = ioctl(file, _PAGEMAP_SCAN, argument, True)
        except OSError:
            return None
        for begin, stop, _ in regions[:count].tolist():
            begin, stop = begin // mmap.PAGESIZE - first, stop // mmap.PAGESIZE - first  # noqa: PLW2901
            if found and found[-1][1] == begin:
                found[-1] = found[-1][0], stop
            else:
                found.append((begin, stop))
        start = end if count < _RUNS_AT_ONCE else int(regions[-1, 1])
    return found


def _read_one_by_one(file: int, first: int, pages: int) -> Runs:
    """Return the same from the entries of all pages; all of them where the host does not report it."""
    found = []
    for done in range(0, pages, _PAGES_AT_ONCE):
        count = min(pages - done, _PAGES_AT_ONCE)
        entries = np.frombuffer(os.pread(file, count * WORD_BYTES, (first + done) * WORD_BYTES), "=u8")
        if entries.size < count:
            return [(0, pages)]
        private = (entries & (_PRESENT | _SWAPPED) != 0) & (entries & _OF_FILE == 0)
        found.append(np.flatnonzero(private) + done)
    private_pages = np.concatenate(found)
    starts, stops = consecutive_runs(private_pages)
    return list(zip(private_pages[starts].tolist(), (private_pages[stops - 1] + 1).tolist(), strict=True))


def _bytes_of(found: Runs, size: int) -> list[tuple[int, int]]:
    """Return runs of pages as offsets of bytes; the nearest runs are joined if there are too many."""
    if len(found) > _MOST_RUNS:
        bounds = np.array(found, dtype=np.int64)
        gaps = bounds[1:, 0] - bounds[:-1, 1]
        joined = np.partition(gaps, -_MOST_RUNS)[-_MOST_RUNS]
        starts, stops = runs(gaps > joined, len(found))
        found = list(zip(bounds[starts, 0].tolist(), bounds[stops - 1, 1].tolist(), strict=True))
    return [(begin * mmap.PAGESIZE, min(stop * mmap.PAGESIZE, size)) for begin, stop in found]
