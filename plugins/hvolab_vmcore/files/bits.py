# SPDX-License-Identifier: GPL-2.0-only
"""Bitmap with one bit for each frame, in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab.arithmetic import div_round_up, round_up
from hvolab.arrays import equal_runs
from hvolab_vmcore.files.content import Content, Ints

#: Bytes whose bits are counted together.
_CHUNK: Final = 512
#: Bytes that are read at once.
_AT_ONCE: Final = 1 << 22


class FrameBits:
    """Bits of frames from PFN 0 on, lowest bit of a byte first; read when they are needed.

    content  the file
    offset   place of the bits in it
    count    number of bits
    first    first PFN whose bit is set
    end      one past the last; 0: no bit is set
    """

    def __init__(self, content: Content, offset: int, count: int) -> None:
        self._content = content
        self._offset = offset
        self.count = count
        self._size = div_round_up(count, 8)
        chunks, counts, self.first, self.end = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], -1, 0
        for start, stop in self._parts():
            octets = self._octets(start, stop - start)
            padded = np.zeros(round_up(octets.size, _CHUNK), dtype=np.uint8)
            padded[: octets.size] = np.bitwise_count(octets)
            sums = padded.reshape(-1, _CHUNK).sum(axis=1, dtype=np.int64)
            some = np.flatnonzero(sums)
            chunks.append(some + start // _CHUNK)
            counts.append(sums[some])
            if some.size:
                used = np.flatnonzero(octets)
                low, high = int(used[0]), int(used[-1])
                if self.first < 0:
                    self.first = 8 * (start + low) + (int(octets[low]) & -int(octets[low])).bit_length() - 1
                self.end = 8 * (start + high) + int(octets[high]).bit_length()
        self.first = max(self.first, 0)
        #: Chunks with a bit that is set, and bits that are set before each of them, and in all.
        self._chunks = np.concatenate(chunks)
        self._before = np.concatenate(([0], np.cumsum(np.concatenate(counts))))

    def _parts(self) -> Iterator[tuple[int, int]]:
        """Yield the parts of the bitmap that are no holes of the file, as whole chunks that are read at once."""
        holes, done = self._content.holes - self._offset, 0
        low, high = np.searchsorted(holes[:, 1], 0, side="right"), np.searchsorted(holes[:, 0], self._size)
        for start, stop in (*holes[low:high].tolist(), (self._size, self._size)):
            until = min(round_up(max(start, 0), _CHUNK), self._size)
            for part in range(done, until, _AT_ONCE):
                yield part, min(part + _AT_ONCE, until)
            done = max(done, until, stop // _CHUNK * _CHUNK)

    def _octets(self, start: int, size: int) -> NDArray[np.uint8]:
        """Return bytes of the bitmap, without bits beyond the last."""
        octets = np.frombuffer(self._content.read(self._offset + start, size), np.uint8)
        if self.count % 8 and 8 * (start + octets.size) > self.count:
            octets = octets.copy()
            octets[-1] &= (1 << self.count % 8) - 1
        return octets

    def test(self, pfns: Ints) -> NDArray[np.bool_]:
        """Return the bit of each frame; False beyond the bitmap."""
        found = np.zeros(pfns.size, dtype=np.bool_)
        inside = np.flatnonzero((pfns >= 0) & (pfns < self.count))
        octets = self._content.rows(self._offset + (pfns[inside] >> 3), 1)[:, 0]
        found[inside] = octets >> (pfns[inside] & 7).astype(np.uint8) & 1
        return found

    def rank(self, pfns: Ints) -> Ints:
        """Return the number of bits set before each frame."""
        pfns = np.minimum(pfns, self.count)
        chunk = pfns // (8 * _CHUNK)
        places = np.searchsorted(self._chunks, chunk)
        found: Ints = self._before[places].copy()
        used = np.flatnonzero(np.append(self._chunks, -1)[places] == chunk)
        order = used[np.argsort(chunk[used], kind="stable")]
        for first, last_one in zip(*equal_runs(chunk[order]), strict=True):
            mine = order[first:last_one]
            start = int(chunk[mine[0]]) * _CHUNK
            octets = self._octets(start, min(_CHUNK, self._size - start))
            sums = np.concatenate(([0], np.cumsum(np.bitwise_count(octets), dtype=np.int64)))
            inside = pfns[mine] - 8 * start
            last = np.append(octets, 0)[inside >> 3] & ((1 << (inside & 7)) - 1).astype(np.uint8)
            found[mine] += sums[inside >> 3] + np.bitwise_count(last)
        return found
