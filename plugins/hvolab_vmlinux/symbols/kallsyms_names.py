# SPDX-License-Identifier: GPL-2.0-only
"""Names of kallsyms, found in an image by their structure, and expanded.

A name is a length and as many codes; a code represents a token, one of 256 strings. The first byte of a name is the
symbol's kind. `kallsyms_markers` has the offset of every 256th name, so that all groups of 256 are walked at once.
Kernel: write_src() in scripts/kallsyms.c, kallsyms_expand_symbol() in kernel/kallsyms.c, v6.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab.arrays import equal_runs
from hvolab_vmlinux.binary import joined

_TOKENS: Final = 256
_GROUP: Final = 256
#: The tokens of the ten digits are the digits themselves in every kernel, since no longer token replaces them.
_DIGITS: Final = b"".join(bytes((digit, 0)) for digit in b"0123456789")
#: Bytes before the token table in which the markers are searched: more than 8 bytes for each 256 of a million names.
_MARKERS_REACH: Final = 8 << 20
#: Bytes of 256 names: from two each up to the longest names of kernels.
_SHORTEST_GROUP, _LONGEST_GROUP = 2 * _GROUP, 160 * _GROUP


@dataclass(frozen=True, eq=False)
class Tokens:
    """The 256 tokens: start of their table, end of the index after it, their bytes, and the start of each in them."""

    start: int
    index_end: int
    text: NDArray[np.uint8]
    starts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Names:
    """The names, expanded.

    count_at  place of the number of symbols in the image
    letters   the kind of each symbol
    text      the names, each with a NUL after it
    """

    count_at: int
    tokens: Tokens
    letters: NDArray[np.uint8]
    text: bytes

    @property
    def count(self) -> int:
        """Number of names."""
        return len(self.letters)


def find_names(content: bytes) -> Names | None:
    """Return the names, or None where the image has none."""
    position = -1
    while (position := content.find(_DIGITS, position + 1)) >= 0:
        tokens = _tokens(content, position)
        found = None if tokens is None else _names(content, tokens)
        if found is not None:
            return found
    return None


def _tokens(content: bytes, digits_at: int) -> Tokens | None:
    """Return the token table around the digits, if `kallsyms_token_index` after it agrees."""
    start = digits_at
    for _ in range(ord("0")):
        start = content.rfind(b"\0", max(0, start - 256), start - 1) + 1
        if start <= 0:
            return None
    starts, end = [], start
    for _ in range(_TOKENS):
        starts.append(end - start)
        end = content.find(b"\0", end, end + 1024) + 1
        if end <= 0:
            return None
    if starts[-1] > 0xFFFF:
        return None
    index = np.array(starts, "<u2").tobytes()
    index_at = content.find(index, end, end + len(index) + 64)
    if index_at < 0:
        return None
    text = np.frombuffer(content, np.uint8, end - start, start)
    return Tokens(start, index_at + len(index), text, np.array([*starts, end - start], np.int64))


def _names(content: bytes, tokens: Tokens) -> Names | None:
    """Return the names before the token table: first the markers, by their values, then the names that they mark."""
    reach = max(0, tokens.start - _MARKERS_REACH) & ~3
    words = np.frombuffer(content, "<u4", (tokens.start - reach) // 4, reach).astype(np.int64)
    steps = np.diff(words)
    rising = (steps >= _SHORTEST_GROUP) & (steps <= _LONGEST_GROUP)
    starts, ends = equal_runs(rising)
    # a run of markers starts with 0, for the first name
    lengths = np.where(rising[starts] & (words[starts] == 0), ends - starts, 0)
    if not lengths.any():
        return None
    longest = lengths.argmax()
    markers = words[starts[longest] : ends[longest] + 1]
    markers_at = reach + 4 * int(starts[longest])
    for start, count_at, count in _starts(content, markers, markers_at):
        walked = _walk(content, start, markers_at, markers, count)
        if walked is not None:
            letters, text = _expand(content, tokens, *walked)
            return Names(count_at, tokens, letters, text)
    return None


def _starts(content: bytes, markers: NDArray[np.int64], markers_at: int) -> list[tuple[int, int, int]]:
    """Return possible starts of the names, the place of their number, and that number, which must fit the markers."""
    last = markers_at - int(markers[-1])
    first = max(last - _LONGEST_GROUP - 64, 8) & ~3
    if last <= first:
        return []
    words = np.frombuffer(content, "<u4", (last - first) // 4 + 3, first - 8)
    groups = len(markers)
    fits = np.flatnonzero((words > (groups - 1) * _GROUP) & (words <= groups * _GROUP))
    found = []
    for index in fits.tolist():
        count_at = first - 8 + 4 * index
        # the number is padded to eight bytes, in 7.x to four
        found += [(count_at + gap, count_at, int(words[index])) for gap in (8, 4) if count_at + gap <= last]
    return found


def _walk(
    content: bytes, start: int, end: int, markers: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return start and length of each name's codes; None where the names do not end at their markers."""
    raw = np.frombuffer(content, np.uint8)
    groups = len(markers)
    positions = start + markers
    starts = np.zeros((_GROUP, groups), np.int64)
    lengths = np.zeros((_GROUP, groups), np.int64)
    last_group = count - (groups - 1) * _GROUP
    for index in range(_GROUP):
        used = groups - (index >= last_group)
        if not used:
            break
        at = positions[:used]
        length = raw[at].astype(np.int64)
        two = length >= 0x80  # ULEB128: the kernel has names of more than 127 codes since 6.1
        length = np.where(two, (length & 0x7F) | (raw[at + 1].astype(np.int64) << 7), length)
        starts[index, :used] = at + 1 + two
        lengths[index, :used] = length
        at[:] = starts[index, :used] + length
        if at.max() > end or length.min() == 0:
            return None
    if not np.array_equal(positions[:-1], start + markers[1:]) or not 0 <= end - positions[-1] < 16:
        return None
    return starts.T.ravel()[:count], lengths.T.ravel()[:count]


def _expand(
    content: bytes, tokens: Tokens, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], bytes]:
    """Return kinds and text of all names: codes are gathered once, then tokens."""
    raw = np.frombuffer(content, np.uint8)
    # each name has one more code, which becomes the NUL
    codes = joined(raw, starts, lengths + 1).astype(np.int16)
    ends = np.cumsum(lengths + 1)
    codes[ends - 1] = _TOKENS
    token_starts = np.append(tokens.starts[:-1], tokens.starts[-1] - 1)
    token_lengths = np.append(np.diff(tokens.starts) - 1, 1)
    code_lengths = token_lengths[codes]
    text = joined(tokens.text, token_starts[codes], code_lengths)
    name_ends = np.cumsum(code_lengths)[ends - 1]
    firsts = np.concatenate(([0], name_ends[:-1]))
    kept = np.ones(len(text), np.bool_)
    kept[firsts] = False
    return text[firsts], text[kept].tobytes()
