# SPDX-License-Identifier: GPL-2.0-only
"""Bitmap with one bit for each frame, in a file."""

from __future__ import annotations

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
        counts, firsts = list[NDArray[np.int64]](), list[int]()
        self.first = self.end = 0
        self._size = div_round_up(count, 8)
        for start in range(0, self._size, _AT_ONCE):
            octets = self._octets(start, min(_AT_ONCE, self._size - start))
            padded = np.zeros(round_up(octets.size, _CHUNK), dtype=np.uint8)
            padded[: octets.size] = np.bitwise_count(octets)
            counts.append(padded.reshape(-1, _CHUNK).sum(axis=1, dtype=np.int64))
            if (used := np.flatnonzero(octets)).size:
                low, high = int(used[0]), int(used[-1])
                firsts.append(8 * (start + low) + (int(octets[low]) & -int(octets[low])).bit_length() - 1)
                self.end = 8 * (start + high) + int(octets[high]).bit_length()
        self.first = firsts[0] if firsts else 0
        #: Bits that are set before each chunk.
        self._before = np.concatenate(([0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *counts]))))

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
        found: Ints = self._before[chunk].copy()
        order = np.argsort(chunk, kind="stable")
        for first, last_one in zip(*equal_runs(chunk[order]), strict=True):
            mine = order[first:last_one]
            start = int(chunk[mine[0]]) * _CHUNK
            octets = self._octets(start, min(_CHUNK, self._size - start))
            sums = np.concatenate(([0], np.cumsum(np.bitwise_count(octets), dtype=np.int64)))
            inside = pfns[mine] - 8 * start
            last = np.append(octets, 0)[inside >> 3] & ((1 << (inside & 7)) - 1).astype(np.uint8)
            found[mine] += sums[inside >> 3] + np.bitwise_count(last)
        return found
