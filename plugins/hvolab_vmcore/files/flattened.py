# SPDX-License-Identifier: GPL-2.0-only
"""makedumpfile's flattened format: pieces of a file in the order in which they were written, as to a pipe.

QEMU writes its kdump-compressed dumps in it, too. The file is not rearranged: an index has the place of each piece.
Source: makedumpfile's makedumpfile.h, struct makedumpfile_header and makedumpfile_data_header.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.content import NO_RANGES, Content, Ints, Octets

MAGIC: Final = b"makedumpfile\0\0\0\0"
#: Bytes of the header, type and version in it, and the header of a piece: offset and bytes.
_HEADER_SIZE: Final = 4096
_TYPE: Final = struct.Struct(">16sqq")
_PIECE: Final = struct.Struct(">qq")
_END: Final = (-1, -1)
#: Largest file that pieces make up: no offset of a dump is larger.
_LARGEST: Final = 1 << 56


class FlattenedContent:
    """Content of a flattened file, as makedumpfile -R would write it.

    Raises CoreFileError for an unknown version, and for a piece at an impossible place.
    """

    def __init__(self, inner: Content, where: str) -> None:
        self._inner = inner
        self.holes: Ints = NO_RANGES
        self.missing: Ints = NO_RANGES
        self._cut_short = False
        self.warnings: tuple[str, ...] = inner.warnings
        _, kind, version = _TYPE.unpack(inner.read(0, _TYPE.size).ljust(_TYPE.size, b"\0"))
        if (kind, version) != (1, 1):
            raise CoreFileError(
                f"the flattened format has type {kind} and version {version}",
                where=f"{where}, byte 16",
                rule="makedumpfile.h: type 1, version 1",
                hint="copy the file again: this copy may be damaged",
            )
        starts, ends, places = self._pieces(where)
        self.size = int(ends.max()) if ends.size else 0
        if not self.size:
            raise CoreFileError(
                f"the flattened file has nothing in it: it ends after {inner.size} bytes",
                where=f"{where}, byte {_HEADER_SIZE}",
                rule="makedumpfile.h: pieces of the file follow the header",
                hint="copy the file again: this copy is cut short",
            )
        self._index(starts, ends, places)

    def _pieces(self, where: str) -> tuple[Ints, Ints, Ints]:
        """Return first offset, one past the last and place in the file of each piece, in the order of the file."""
        found, position = list[tuple[int, int, int]](), _HEADER_SIZE
        while True:
            header = self._inner.read(position, _PIECE.size)
            if len(header) < _PIECE.size or not any(header):
                break
            offset, size = _PIECE.unpack(header)
            if (offset, size) == _END:
                return _columns(found)
            if not (0 <= offset <= _LARGEST and 0 <= size <= _LARGEST):
                raise CoreFileError(
                    f"a piece of the flattened file has {size} bytes, for offset {offset}",
                    where=f"{where}, byte {position:#x}",
                    rule="makedumpfile.h: struct makedumpfile_data_header",
                    hint="copy the file again: this copy is damaged",
                )
            position += _PIECE.size
            here = min(size, self._inner.size - position)
            found.append((offset, offset + here, position))
            position += size
        self._cut_short = True
        self.warnings = (*self.warnings, "the flattened file is cut short: its end mark is missing")
        return _columns(found)

    def _index(self, starts: Ints, ends: Ints, places: Ints) -> None:
        """Divide the file into ranges of one piece each; a later piece replaces what an earlier one has."""
        bounds = np.unique(np.concatenate((starts, ends, [0])))
        owners = np.full(bounds.size, -1, dtype=np.int64)
        firsts, lasts = np.searchsorted(bounds, starts).tolist(), np.searchsorted(bounds, ends).tolist()
        for piece, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
            owners[first:last] = piece
        shift = np.zeros(bounds.size, dtype=np.int64)
        if starts.size:
            shift = np.where(owners >= 0, places[owners] - starts[owners], 0)
        known = owners >= 0
        fresh = np.concatenate(([True], (shift[1:] != shift[:-1]) | (known[1:] != known[:-1])))
        self._bounds, self._shift, self._known = bounds[fresh], shift[fresh], known[fresh]
        self._ends = np.append(self._bounds[1:], self.size)
        gaps = np.stack((self._bounds, self._ends), axis=1)[~self._known & (self._bounds < self._ends)]
        self.holes, self.missing = (NO_RANGES, gaps) if self._cut_short else (gaps, NO_RANGES)

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end; zeros between pieces."""
        end, parts = min(offset + size, self.size), []
        while offset < end:
            at = int(np.searchsorted(self._bounds, offset, side="right")) - 1
            here = min(end, int(self._ends[at])) - offset
            parts.append(self._inner.read(offset + int(self._shift[at]), here) if self._known[at] else bytes(here))
            offset += here
        return b"".join(parts)

    def rows(self, offsets: Ints, size: int) -> Octets:
        """Return a copy of ``size`` bytes from each offset on, shape (n, size)."""
        found = np.zeros((offsets.size, size), dtype=np.uint8)
        at = np.searchsorted(self._bounds, offsets, side="right") - 1
        inside = offsets + size <= self._ends[at]
        simple = np.flatnonzero(inside & self._known[at])
        found[simple] = self._inner.rows(offsets[simple] + self._shift[at[simple]], size)
        for row in np.flatnonzero(~inside).tolist():
            found[row] = np.frombuffer(self.read(int(offsets[row]), size), np.uint8)
        return found


def _columns(pieces: list[tuple[int, int, int]]) -> tuple[Ints, Ints, Ints]:
    table = np.array(pieces, dtype=np.int64).reshape(-1, 3)
    return table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy()
